"""Experts in standard operators, for formulas that onnxruntime's MoE lacks.

Each expert collects the tokens that chose it. Where there are none, its products have no rows, and its
weights are not read.
"""

from __future__ import annotations

import numpy as np

from toolkit.capture.experts import ExpertsCall
from toolkit.capture.graph import Ref
from toolkit.compress.experts import ExpertMatrices
from toolkit.compress.schemes import SCHEMES
from toolkit.errors import UnsupportedModel
from toolkit.export.onnx.builder import MICROSOFT
from toolkit.export.onnx.context import LoweringContext
from toolkit.export.onnx.initializers import StoredMatrix


def expert_products(lowering: LoweringContext, call: ExpertsCall) -> str:
    """Emit one slm::experts; returns the value of its result."""
    builder = lowering.builder
    hint = call.up.name.rpartition(".")[0]
    halves = call.has_gate and call.interleaved
    up = ExpertMatrices(call.up.name, call.transposed, "halves" if halves else "kept")
    down = ExpertMatrices(call.down.name, call.transposed)
    ups, downs = (lowering.weights.experts(matrices) for matrices in (up, down))
    biases = [_biases(lowering, ref, one) for ref, one in ((call.up_bias, up), (call.down_bias, down))]
    dynamic = [SCHEMES.get(one.spec(lowering.weights.plan).scheme).dynamic_activation for one in (up, down)]
    hidden, chosen, weights = (lowering.value(ref) for ref in (call.hidden, call.chosen, call.weights))

    def axis(number: int) -> str:
        return builder.constant(np.array([number], np.int64))

    def linear(states: str, matrix: StoredMatrix | str, index: int, which: int) -> str:
        if isinstance(matrix, str):
            product = builder.node("FusedMatMul", [states, matrix], domain=MICROSOFT, hint=hint, transB=1)[0]
        else:
            product = builder.node(
                "MatMulNBits",
                [states, matrix.values, matrix.scales, matrix.zero_points],
                domain=MICROSOFT,
                hint=hint,
                K=matrix.columns,
                N=matrix.rows,
                bits=matrix.bits,
                block_size=matrix.block_size,
                accuracy_level=4 if dynamic[which] else 0,
            )[0]
        if (whole := biases[which]) is None:
            return product
        bias = builder.node("Gather", [whole, axis(index)])[0]
        return builder.node("Add", [product, bias])[0]

    zero = builder.constant(np.array(0, np.float32))
    total = builder.node("Expand", [zero, builder.node("Shape", [hidden])[0]], hint=hint)[0]
    for index, (first, second) in enumerate(zip(ups, downs, strict=True)):
        found = builder.node("Equal", [chosen, builder.constant(np.array(index, np.int64))], hint=hint)
        places = builder.node("Transpose", builder.node("NonZero", found, hint=hint), perm=[1, 0])[0]
        factors = builder.node("GatherND", [weights, places], hint=hint)[0]
        rows = builder.node("Slice", [places, axis(0), axis(1), axis(1)], hint=hint)[0]
        states = builder.node("GatherND", [hidden, rows], hint=hint)[0]
        states = _between(lowering, call, linear(states, first, index, 0))
        output = linear(states, second, index, 1)
        weighted = builder.node("Mul", [output, builder.node("Unsqueeze", [factors, axis(1)])[0]])[0]
        total = builder.node("ScatterND", [total, rows, weighted], hint=hint, reduction="add")[0]
    return total


def _biases(lowering: LoweringContext, ref: Ref | None, matrices: ExpertMatrices) -> str | None:
    """All experts' [E, rows]."""
    if ref is None:
        return None
    array = matrices.in_order(lowering.weights.weights.read(ref.name)).contiguous().numpy()
    return lowering.builder.data.add(ref.name, [array], array.shape)


def _between(lowering: LoweringContext, call: ExpertsCall, states: str) -> str:
    """What stands between an expert's projections, see :func:`toolkit.capture.operators.gated`."""
    builder = lowering.builder
    if not call.has_gate:
        return _activated(lowering, call, states)
    gate, up = builder.node("Split", [states], outputs=2, axis=-1, num_outputs=2)
    if call.limit:
        lowest, highest = (builder.constant(np.array(one, np.float32)) for one in (-call.limit, call.limit))
        gate = builder.node("Clip", [gate, "", highest])[0]
        up = builder.node("Clip", [up, lowest, highest])[0]
    if call.offset:
        up = builder.node("Add", [up, builder.constant(np.array(call.offset, np.float32))])[0]
    return builder.node("Mul", [_activated(lowering, call, gate), up])[0]


def _activated(lowering: LoweringContext, call: ExpertsCall, states: str) -> str:
    builder = lowering.builder
    match call.activation:
        case "silu":
            return builder.node("QuickGelu", [states], domain=MICROSOFT, alpha=call.alpha)[0]
        case "gelu" | "gelu_tanh":
            return builder.node(
                "Gelu", [states], approximate="none" if call.activation == "gelu" else "tanh"
            )[0]
        case "relu":
            return builder.node("Relu", [states])[0]
        case "relu_squared":
            positive = builder.node("Relu", [states])[0]
            return builder.node("Mul", [positive, positive])[0]
        case "sigmoid":
            return builder.node("Sigmoid", [states])[0]
        case "identity":
            return states
    raise UnsupportedModel(f"experts with {call.activation} have no ONNX lowering")
