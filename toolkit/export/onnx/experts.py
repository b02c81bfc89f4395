"""Experts: onnxruntime's QMoE for integers, MoE for floats; only chosen experts' weights are read.

What experts compute and these operators lack is written in standard ones, see expert_products.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from toolkit.capture.experts import ExpertsCall
from toolkit.capture.graph import Op, Ref
from toolkit.compress.experts import ExpertMatrices
from toolkit.export.onnx.builder import MICROSOFT
from toolkit.export.onnx.context import LoweringContext
from toolkit.export.onnx.expert_products import expert_products
from toolkit.export.onnx.expert_weights import StoredExperts, float_experts, quantized_experts

# Far above the router's other entries, so that their share in a softmax is exactly 0.
_CHOSEN = 1e4
_UNGATED = {"relu": "relu", "silu": "silu", "gelu_tanh": "gelu", "identity": "identity"}


class Experts:
    """Emits the experts of a graph."""

    def __init__(self, lowering: LoweringContext) -> None:
        self._lowering = lowering

    def emit(self, op: Op) -> None:
        """Emit one slm::experts."""
        call = ExpertsCall(*op.args)
        attributes, lowering = _activation(call), self._lowering
        if attributes is None:
            lowering.set_value(op.name, expert_products(lowering, call))
            return
        count = int(lowering.graph.parameters[call.up.name][0])
        paired = call.has_gate and not call.interleaved
        up = ExpertMatrices(call.up.name, call.transposed, "pairs" if paired else "kept")
        down = ExpertMatrices(call.down.name, call.transposed)
        biases = [self._bias(ref, matrices) for ref, matrices in ((call.up_bias, up), (call.down_bias, down))]
        pair = quantized_experts(lowering.weights, up, down)
        if pair is None:
            floats = [float_experts(lowering.weights, matrices) for matrices in (up, down)]
            value = self._by_floats(call, count, floats, biases, attributes)
        else:
            value = self._by_integers(call, count, pair, biases, attributes)
        lowering.set_value(op.name, value)

    def _by_integers(
        self,
        call: ExpertsCall,
        count: int,
        pair: tuple[StoredExperts, StoredExperts],
        biases: list[str],
        attributes: dict[str, Any],
    ) -> str:
        builder, (up, down) = self._lowering.builder, pair
        places = self._lowering.value(call.chosen)
        ones = builder.constant(np.array(1, np.float32))
        marks = builder.node("Expand", [ones, builder.node("Shape", [places])[0]])[0]
        inputs = [
            self._lowering.value(call.hidden),
            self._spread(places, marks, count),
            up.values,
            up.scales,
            biases[0],
            down.values,
            down.scales,
            biases[1],
            *[""] * 3,
            up.zero_points,
            down.zero_points,
            "",
            self._spread(places, self._lowering.value(call.weights), count),
        ]
        if up.block_size:
            attributes["block_size"] = up.block_size
        return builder.node(
            "QMoE",
            inputs,
            domain=MICROSOFT,
            hint=call.up.name.rpartition(".")[0],
            k=self._chosen(call),
            expert_weight_bits=up.bits,
            fc2_expert_weight_bits=down.bits,
            accuracy_level=4 if up.dynamic else 0,
            **attributes,
        )[0]

    def _by_floats(
        self,
        call: ExpertsCall,
        count: int,
        matrices: list[str],
        biases: list[str],
        attributes: dict[str, Any],
    ) -> str:
        """One MoE for each choice: the operator's own weights are a softmax, the model's may be anything."""
        lowering, builder = self._lowering, self._lowering.builder
        places, weights = lowering.value(call.chosen), lowering.value(call.weights)
        total = ""
        for index in range(self._chosen(call)):
            ends = [builder.constant(np.array([number], np.int64)) for number in (index, index + 1, -1)]
            place, weight = (builder.node("Slice", [value, *ends])[0] for value in (places, weights))
            marks = builder.node(
                "Expand", [builder.constant(np.array(_CHOSEN, np.float32)), builder.node("Shape", [place])[0]]
            )[0]
            inputs = [
                lowering.value(call.hidden),
                self._spread(place, marks, count),
                matrices[0],
                biases[0],
                matrices[1],
                biases[1],
            ]
            hint = call.up.name.rpartition(".")[0]
            output = builder.node("MoE", inputs, domain=MICROSOFT, hint=hint, k=1, **attributes)[0]
            weighted = builder.node("Mul", [output, weight])[0]
            total = builder.node("Add", [total, weighted])[0] if total else weighted
        return total

    def _spread(self, places: str, values: str, count: int) -> str:
        """Values at their experts' places, zeros elsewhere: [S, E]."""
        builder = self._lowering.builder
        tokens = builder.node("Shape", [places], start=0, end=1)[0]
        shape = builder.node("Concat", [tokens, builder.constant(np.array([count], np.int64))], axis=0)[0]
        zeros = builder.node("Expand", [builder.constant(np.array(0, np.float32)), shape])[0]
        return builder.node("ScatterElements", [zeros, places, values], axis=1)[0]

    def _bias(self, ref: Ref | None, matrices: ExpertMatrices) -> str:
        if ref is None:
            return ""
        array = matrices.in_order(self._lowering.weights.weights.read(ref.name)).contiguous().numpy()
        return self._lowering.builder.data.add(ref.name, [array], array.shape)

    def _chosen(self, call: ExpertsCall) -> int:
        return int(self._lowering.shape(call.chosen)[-1])


def _activation(call: ExpertsCall) -> dict[str, Any] | None:
    """Attributes of MoE and QMoE alike; None for what they do not compute."""
    if not call.has_gate and call.activation in _UNGATED:
        return {"activation_type": _UNGATED[call.activation], "normalize_routing_weights": 0}
    if call.has_gate and call.activation == "silu":
        limit = {"swiglu_limit": call.limit} if call.limit else {}
        return {
            "activation_type": "swiglu",
            "swiglu_fusion": 1,
            "activation_alpha": call.alpha,
            "activation_beta": call.offset,
            "normalize_routing_weights": 0,
            **limit,
        }
    return None
