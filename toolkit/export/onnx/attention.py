"""Attention: GroupQueryAttention with rotation, per-head norms and the shared KV cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from toolkit.capture.graph import SEQUENCE, Op, Ref
from toolkit.errors import UnsupportedModel
from toolkit.export.onnx.arithmetic import reshape
from toolkit.export.onnx.builder import INT32, MICROSOFT
from toolkit.export.onnx.context import LoweringContext
from toolkit.export.onnx.heads import HeadStates, follow_columns, follow_heads
from toolkit.export.onnx.linears import Linears

if TYPE_CHECKING:
    from toolkit.capture.rope import RopeTables


class Attention:
    """Emits the attention operations of a graph."""

    def __init__(self, lowering: LoweringContext, linears: Linears, rope_tables: RopeTables) -> None:
        self._lowering = lowering
        self._linears = linears
        self._rope_tables = rope_tables
        self._tables: dict[str, tuple[str, str]] = {}
        self._lengths: tuple[str, str] | None = None

    def emit(self, op: Op) -> None:
        """Emit GroupQueryAttention with the layer's KV cache."""
        layer, scale, window, softcap = op.args[3:7]
        query, key, value = (self._heads(ref) for ref in op.args[:3])
        shapes = [self._lowering.graph.by_name[ref.name].shape for ref in op.args[:3]]
        heads, kv_heads, head_dim = _head_counts(shapes)
        if value.table is not None or value.norm is not None or query.table != key.table:
            raise UnsupportedModel(
                f"layer {layer} rotates or normalizes queries, keys and values unlike each other"
            )
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
        attributes: dict[str, int | float] = {
            "num_heads": heads,
            "kv_num_heads": kv_heads,
            "scale": float(scale),
        }
        if cos:
            attributes["do_rotary"] = 1
        if window:
            attributes["local_window_size"] = window
        if softcap:
            attributes["softcap"] = softcap
        outputs = self._lowering.builder.node(
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
        for user in self._lowering.users[op.name]:
            if (
                user.target in ("aten.reshape", "aten.view")
                and user.shape is not None
                and user.shape[-1] == width
            ):
                self._lowering.set_value(user.name, flat)
        shape = self._lowering.graph.by_name[op.name].shape
        assert shape is not None, "attention yields one tensor"
        if any(not self._lowering.has_value(user.name) for user in self._lowering.users[op.name]):
            self._lowering.set_value(op.name, reshape(self._lowering, flat, shape))
        else:
            self._lowering.set_value(op.name, flat)

    def _heads(self, ref: Ref) -> HeadStates:
        states = follow_heads(self._lowering.graph, ref)
        if states is None:
            raise UnsupportedModel(
                f"the shape of attention operand {ref.name} cannot be followed to its projection"
            )
        return states

    def _packed(self, query: HeadStates, key: HeadStates, value: HeadStates) -> str | None:
        """The value that holds exactly queries, keys and values side by side, if there is one."""
        if query.norm is not None or key.norm is not None:
            return None
        spans = [
            self._linears.span(follow_columns(self._lowering.graph, s.source)) for s in (query, key, value)
        ]
        return self._linears.whole(spans)

    def _states(self, states: HeadStates) -> str:
        """Flat value [1, S, heads * head_dim], normalized per head if the model does."""
        if states.norm is None:
            return self._lowering.value(states.source)
        flat = self._lowering.value(states.source)
        gain = self._lowering.gain(states.norm)
        shape = self._lowering.graph.by_name[states.norm.name].shape
        assert shape is not None, "a norm yields one tensor"
        split = reshape(self._lowering, flat, (1, SEQUENCE, -1, shape[-1]))
        eps = float(states.norm.args[2])
        normalized = self._lowering.builder.node(
            "SimplifiedLayerNormalization", [split, gain], axis=-1, epsilon=eps
        )[0]
        return reshape(self._lowering, normalized, (1, SEQUENCE, -1))

    def _sequence_lengths(self) -> tuple[str, str]:
        """(total - 1, total) as int32 [1]; with batch 1 and no padding the mask's shape says both."""
        if self._lengths is None:
            builder = self._lowering.builder
            size = builder.node("Shape", ["attention_mask"], start=1, end=2)[0]
            total = builder.node("Cast", [size], to=INT32)[0]
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
            data = self._lowering.builder.data
            self._tables[name] = (
                data.add(f"rope.{name}.cos", [cos], cos.shape),
                data.add(f"rope.{name}.sin", [sin], sin.shape),
            )
        return self._tables[name]


def _head_counts(shapes: list[tuple[int | str, ...] | None]) -> tuple[int, int, int]:
    query, key, value = shapes
    assert query is not None and key is not None and value is not None, "attention operands are tensors"
    if key != value or query[3] != key[3] or int(query[1]) % int(key[1]):
        raise UnsupportedModel(f"attention with queries {query}, keys {key} and values {value}")
    return int(query[1]), int(key[1]), int(query[3])
