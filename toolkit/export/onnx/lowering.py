"""From a captured graph to ONNX nodes, fused where onnxruntime has a fused operator.

Operations are visited in order. Those that a fusion may swallow (views, linears, norms) are emitted only
when something asks for their value, so what was fused away never reaches the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from toolkit.errors import UnsupportedModel
from toolkit.export.graph import DecoderGraph, Op, Ref
from toolkit.export.onnx import arithmetic
from toolkit.export.onnx.builder import FLOAT, INT64, MICROSOFT, GraphBuilder
from toolkit.export.onnx.heads import HeadStates, follow_columns, follow_heads
from toolkit.export.onnx.linears import Linears
from toolkit.export.onnx.weights import Matrix, WeightStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

    # Cosines and sines, float32 [context, rotary_dim / 2], of the rotary embedding of that name.
    RopeTables = Callable[[str], tuple[NDArray[np.float32], NDArray[np.float32]]]

_LAZY = {"aten.linear", "slm.rms_norm", "aten.layer_norm", "slm.rotary", "slm.rope_table", *arithmetic.LAZY}


@dataclass(frozen=True)
class CacheGeometry:
    """One layer's KV cache is [1, kv_heads, length, head_dim]."""

    kv_heads: int
    head_dim: int


class Lowering:
    """Lowers one captured graph into a GraphBuilder.

    Args:
        graph: the captured decoder.
        builder: receives the nodes.
        weights: writes the parameters.
        rope_tables: yields the tables of a rotary embedding.
        tied: parameter that is an alias -> the parameter that is stored.
        all_logits: logits of every position instead of the last one only.

    Attributes:
        caches: KV cache geometry by layer, known after :meth:`run`.
    """

    def __init__(
        self,
        graph: DecoderGraph,
        builder: GraphBuilder,
        weights: WeightStore,
        rope_tables: RopeTables,
        *,
        tied: dict[str, str],
        all_logits: bool,
    ) -> None:
        self.graph = graph
        self.builder = builder
        self.weights = weights
        self.caches: dict[int, CacheGeometry] = {}
        self.users = graph.users()
        self._rope_tables = rope_tables
        self._tied = tied
        self._all_logits = all_logits
        self._values: dict[str, str] = {}
        self._tables: dict[str, tuple[str, str]] = {}
        self._lengths: tuple[str, str] | None = None
        self._linears = Linears(self)

    def run(self) -> None:
        """Emit all nodes, then declare inputs and outputs in onnxruntime-genai's names."""
        for op in self.graph.ops:
            if op.target not in _LAZY:
                self.value(Ref(op.name))
        builder = self.builder
        logits = self.value(Ref(self.graph.output))
        builder.node("Identity", [logits], outputs=["logits"])
        builder.input("input_ids", INT64, [1, "sequence_length"])
        builder.input("attention_mask", INT64, [1, "total_sequence_length"])
        if "position_ids" in self._values:
            builder.input("position_ids", INT64, [1, "sequence_length"])
        vocabulary = self.graph.by_name[self.graph.output].shape
        assert vocabulary is not None, "logits are one tensor"
        builder.output("logits", FLOAT, [1, "sequence_length" if self._all_logits else 1, vocabulary[-1]])
        for layer, cache in sorted(self.caches.items()):
            for half in ("key", "value"):
                past = [1, cache.kv_heads, "past_sequence_length", cache.head_dim]
                present = [1, cache.kv_heads, "total_sequence_length", cache.head_dim]
                builder.input(f"past_key_values.{layer}.{half}", FLOAT, past)
                builder.output(f"present.{layer}.{half}", FLOAT, present)

    def value(self, ref: Ref) -> str:
        """The ONNX value of an operand, emitted now if it was not before."""
        name = ref.name
        if name not in self._values:
            if name in self.graph.by_name:
                self._emit(self.graph.by_name[name])
            elif name in self.graph.parameters:
                self._values[name] = self.weights.vector(name)
            elif name in self.graph.constants:
                shape, numbers = self.graph.constants[name]
                self._values[name] = self.builder.constant(np.array(numbers, np.float32).reshape(shape))
            else:
                self._values[name] = name
        return self._values[name]

    def set_value(self, name: str, value: str) -> None:
        """Record what an operation became."""
        self._values[name] = value

    def is_head(self, op: Op) -> bool:
        """Whether a linear is the output projection: its parameter is the tied one, or it yields the logits."""
        name = op.args[1].name
        return op.name == self.graph.output or name in self._tied or name.startswith("lm_head.")

    def matrix(self, op: Op) -> Matrix:
        """The weight of a linear."""
        name = op.args[1].name
        role = "lm_head" if self.is_head(op) else "linear"
        return Matrix(self._tied.get(name, name), role, bool(op.kwargs.get("transposed")))

    def linear_input(self, op: Op) -> str:
        """Input of a linear; the output projection sees the last position only, unless all are wanted."""
        value = self.value(op.args[0])
        if self.is_head(op) and not self._all_logits:
            last = self.builder.constant(np.array([-1], np.int64))
            return self.builder.node("Gather", [value, last], axis=1, hint="last_position")[0]
        return value

    def _emit(self, op: Op) -> None:
        emitters: dict[str, Callable[[Op], None]] = {
            "aten.linear": self._linears.emit,
            "aten.embedding": self._embedding,
            "aten.add": self._add,
            "slm.rms_norm": self._rms_norm,
            "aten.layer_norm": self._layer_norm,
            "slm.attention": self._attention,
        }
        if op.target in emitters:
            emitters[op.target](op)
        elif op.target in arithmetic.EMITTERS:
            self.set_value(op.name, arithmetic.EMITTERS[op.target](self, op))
        else:
            raise UnsupportedModel(
                f"operator {op.target} ({op.name}) has no ONNX lowering",
                next_step="Please report the model type; lowerings live in toolkit/export/onnx.",
            )

    def _embedding(self, op: Op) -> None:
        table, indices = op.args[0].name, self.value(op.args[1])
        matrix = Matrix(self._tied.get(table, table), "embedding")
        if op.args[1] != Ref("input_ids"):
            # Learned positions: small, and added to every token, so kept exact.
            self.set_value(op.name, self.builder.node("Gather", [self.weights.vector(table), indices])[0])
        elif not self.weights.scheme(matrix).quantized:
            values = self.weights.float_matrix(matrix)
            self.set_value(op.name, self.builder.node("Gather", [values, indices], hint="embedding")[0])
        else:
            self.set_value(op.name, self._linears.gather(matrix, indices))

    def _add(self, op: Op) -> None:
        left, right = op.args[:2]
        if not (isinstance(left, Ref) and isinstance(right, Ref) and self._same_shape(left, right)):
            self.set_value(op.name, arithmetic.binary("Add")(self, op))
            return
        norm = next((user for user in self.users[op.name] if user.target in _NORMS and len(op.shape or ()) == 3), None)
        if norm is None or norm.args[0] != Ref(op.name):
            self.set_value(op.name, self.builder.node("Add", [self.value(left), self.value(right)])[0])
            return
        operands = [self.value(left), self.value(right)]
        if norm.target == "slm.rms_norm":
            kind, gains, eps = "SkipSimplifiedLayerNormalization", [self._gain(norm)], norm.args[2]
        else:
            kind, gains, eps = "SkipLayerNormalization", self._layer_norm_gains(norm), self._layer_norm_eps(norm)
        outputs = self.builder.node(kind, operands + gains, outputs=4, domain=MICROSOFT, epsilon=float(eps))
        # Mean and inverse deviation are for training; an empty name leaves them out.
        self.builder.nodes[-1].output[1] = self.builder.nodes[-1].output[2] = ""
        self.set_value(norm.name, outputs[0])
        self.set_value(op.name, outputs[3])

    def _same_shape(self, left: Ref, right: Ref) -> bool:
        shapes = [self.graph.by_name[ref.name].shape for ref in (left, right) if ref.name in self.graph.by_name]
        return len(shapes) == 2 and shapes[0] == shapes[1]

    def _gain(self, norm: Op) -> str:
        return self.weights.vector(norm.args[1].name, offset=1.0 if norm.args[3] else 0.0)

    def _rms_norm(self, op: Op) -> None:
        inputs = [self.value(op.args[0]), self._gain(op)]
        self.set_value(
            op.name,
            self.builder.node("SimplifiedLayerNormalization", inputs, axis=-1, epsilon=float(op.args[2]))[0],
        )

    def _layer_norm_gains(self, op: Op) -> list[str]:
        return [self.value(ref) for ref in op.args[2:4] if isinstance(ref, Ref)]

    def _layer_norm_eps(self, op: Op) -> float:
        return float(op.args[4]) if len(op.args) > 4 else 1e-5

    def _layer_norm(self, op: Op) -> None:
        inputs = [self.value(op.args[0]), *self._layer_norm_gains(op)]
        node = self.builder.node("LayerNormalization", inputs, axis=-1, epsilon=self._layer_norm_eps(op))
        self.set_value(op.name, node[0])

    def _attention(self, op: Op) -> None:
        layer, scale, window, softcap = op.args[3:7]
        query, key, value = (self._heads(ref) for ref in op.args[:3])
        shapes = [self.graph.by_name[ref.name].shape for ref in op.args[:3]]
        heads, kv_heads, head_dim = _head_counts(shapes)
        if value.table is not None or value.norm is not None or query.table != key.table:
            raise UnsupportedModel(f"layer {layer} rotates or normalizes queries, keys and values unlike each other")
        self.caches[layer] = CacheGeometry(kv_heads, head_dim)
        packed = self._packed(query, key, value)
        operands = [packed, "", ""] if packed else [self._states(states) for states in (query, key, value)]
        seqlens, total = self._sequence_lengths()
        cos, sin = self._rotation(query)
        inputs = [
            *operands,
            f"past_key_values.{layer}.key",
            f"past_key_values.{layer}.value",
            seqlens,
            total,
            cos,
            sin,
        ]
        attributes: dict[str, int | float] = {"num_heads": heads, "kv_num_heads": kv_heads, "scale": float(scale)}
        if cos:
            attributes["do_rotary"] = 1
        if window:
            attributes["local_window_size"] = window
        if softcap:
            attributes["softcap"] = softcap
        outputs = self.builder.node(
            "GroupQueryAttention",
            inputs,
            outputs=[f"/attention.{layer}/output", f"present.{layer}.key", f"present.{layer}.value"],
            domain=MICROSOFT,
            hint=f"layer.{layer}",
            **attributes,
        )
        self._attention_result(op, outputs[0], heads * head_dim)

    def _attention_result(self, op: Op, flat: str, width: int) -> None:
        """The engine's output is flat [1, S, H * D]; the graph's reshape to that shape is then free."""
        for user in self.users[op.name]:
            if user.target in ("aten.reshape", "aten.view") and user.shape is not None and user.shape[-1] == width:
                self.set_value(user.name, flat)
        shape = self.graph.by_name[op.name].shape
        assert shape is not None, "attention yields one tensor"
        if any(user.name not in self._values for user in self.users[op.name]):
            self.set_value(op.name, arithmetic.reshape(self, flat, shape))
        else:
            self.set_value(op.name, flat)

    def _heads(self, ref: Ref) -> HeadStates:
        states = follow_heads(self.graph, ref)
        if states is None:
            raise UnsupportedModel(f"the shape of attention operand {ref.name} cannot be followed to its projection")
        return states

    def _packed(self, query: HeadStates, key: HeadStates, value: HeadStates) -> str | None:
        """The value that holds exactly queries, keys and values side by side, if there is one."""
        if query.norm is not None or key.norm is not None:
            return None
        spans = [self._linears.span(follow_columns(self.graph, s.source)) for s in (query, key, value)]
        return self._linears.whole(spans)

    def _states(self, states: HeadStates) -> str:
        """Flat value [1, S, heads * head_dim], normalized per head if the model does."""
        if states.norm is None:
            return self.value(states.source)
        flat = self.value(states.source)
        gain = self._gain(states.norm)
        shape = self.graph.by_name[states.norm.name].shape
        assert shape is not None, "a norm yields one tensor"
        split = arithmetic.reshape(self, flat, (1, "S", -1, shape[-1]))
        eps = float(states.norm.args[2])
        normalized = self.builder.node("SimplifiedLayerNormalization", [split, gain], axis=-1, epsilon=eps)[0]
        return arithmetic.reshape(self, normalized, (1, "S", -1))

    def _sequence_lengths(self) -> tuple[str, str]:
        """(total - 1, total) as int32 [1]; batch 1 without padding makes both a matter of the mask's shape."""
        if self._lengths is None:
            builder = self.builder
            size = builder.node("Shape", ["attention_mask"], start=1, end=2)[0]
            total = builder.node("Cast", [size], to=6)[0]
            last = builder.node("Sub", [total, builder.constant(np.array([1], np.int32))])[0]
            self._lengths = last, total
        return self._lengths

    def _rotation(self, states: HeadStates) -> tuple[str, str]:
        if states.table is None:
            return "", ""
        name = states.table.args[1]
        if name not in self._tables:
            cos, sin = self._rope_tables(name)
            if cos.shape[1] % 8:
                raise UnsupportedModel(
                    f"rotates {2 * cos.shape[1]} dimensions of each head; onnxruntime needs a multiple of 16"
                )
            data = self.builder.data
            self._tables[name] = (
                data.add(f"rope.{name}.cos", [cos], cos.shape),
                data.add(f"rope.{name}.sin", [sin], sin.shape),
            )
        return self._tables[name]


_NORMS = ("slm.rms_norm", "aten.layer_norm")


def _head_counts(shapes: list[tuple[int | str, ...] | None]) -> tuple[int, int, int]:
    query, key, value = shapes
    assert query is not None and key is not None and value is not None, "attention operands are tensors"
    if key != value or query[3] != key[3] or int(query[1]) % int(key[1]):
        raise UnsupportedModel(f"attention with queries {query}, keys {key} and values {value}")
    if math.prod(size for size in query if isinstance(size, int)) == 0:
        raise UnsupportedModel(f"attention with queries {query}")
    return int(query[1]), int(key[1]), int(query[3])
