"""Attention: GroupQueryAttention with rotation, per-head norms and the shared KV cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from toolkit.capture.graph import SEQUENCE, Op, Ref
from toolkit.capture.latent import LATENT
from toolkit.capture.patterns import rope_table
from toolkit.capture.shared_caches import cache_of
from toolkit.errors import UnsupportedModel
from toolkit.export.onnx.builder import INT32, MICROSOFT
from toolkit.export.onnx.context import LoweringContext
from toolkit.export.onnx.heads import HeadStates, follow_columns, follow_heads
from toolkit.export.onnx.layout import reshape
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
        self._rows: dict[str, tuple[str, str]] = {}
        self._lengths: tuple[str, str] | None = None
        self._places: str | None = None

    def emit(self, op: Op) -> None:
        """Emit GroupQueryAttention with the layer's KV cache, or over another one's."""
        layer, scale, window, softcap = op.args[3:7]
        shapes = [self._lowering.shape(ref) for ref in op.args[:3]]
        heads, kv_heads, head_dim = _head_counts(int(layer), shapes)
        names = [f"{layer}.key", f"{layer}.value"]
        written = self._written(op)
        if written is None:
            operands, (cos, sin) = self._operands(op)
            cache = [f"past_key_values.{name}" for name in names]
            appended = [f"present.{name}" for name in names]
        else:
            # Without new keys nothing is appended, and without such outputs nothing is copied.
            nothing = self._lowering.builder.constant(np.zeros((1, 0, kv_heads * head_dim), np.float32))
            operands, (cos, sin) = self._query(op)
            operands, cache, appended = [*operands, nothing, nothing], written, []
        seqlens, total = self._sequence_lengths()
        inputs = [
            *operands,
            *cache,
            seqlens,
            total,
            cos,
            sin,
            "",
            "",
            self._lowering.value(op.args[7]) if len(op.args) > 7 and op.args[7] is not None else "",
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
            outputs=[f"/attention.{layer}/output", *appended],
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

    def rotary(self, op: Op) -> None:
        """Rotate halves outside of the attention."""
        lowering, builder = self._lowering, self._lowering.builder
        shape = lowering.shape(op.args[0])
        table = rope_table(lowering.graph, op.args[1])
        if table is None:
            dim = int(lowering.shape(op.args[1])[-1])
            cos, sin = (reshape(lowering, lowering.value(ref), (1, 1, SEQUENCE, dim)) for ref in op.args[1:3])
        else:
            dim = int(table.args[2])
            cos, sin = self._angles(table, dim)
        states = lowering.value(op.args[0])
        rest: list[str] = []
        if dim < int(shape[-1]):
            widths = builder.constant(np.array([dim, int(shape[-1]) - dim], np.int64))
            states, *rest = builder.node("Split", [states, widths], outputs=2, axis=-1)
        halves = builder.constant(np.array([dim // 2, dim // 2], np.int64))
        first, second = builder.node("Split", [states, halves], outputs=2, axis=-1)
        turned = builder.node("Concat", [builder.node("Neg", [second])[0], first], axis=-1)[0]
        products = [builder.node("Mul", pair)[0] for pair in ((states, cos), (turned, sin))]
        rotated = builder.node("Add", products)[0]
        if rest:
            rotated = builder.node("Concat", [rotated, *rest], axis=-1)[0]
        lowering.set_value(op.name, rotated)

    def _angles(self, table: Op, dim: int) -> tuple[str, str]:
        """Cosines and sines of the call's positions, [1, 1, S, dim]."""
        lowering, name = self._lowering, table.args[1]
        if name not in self._rows:
            ids = lowering.value(table.args[0])
            values = []
            for kind, half in zip(("cos", "sin"), self._rope_tables(name), strict=True):
                full = np.concatenate([half, half], axis=1)
                stored = lowering.builder.data.add(f"rope.{name}.{kind}.rows", [full], full.shape)
                rows = lowering.builder.node("Gather", [stored, ids])[0]
                values.append(reshape(lowering, rows, (1, 1, SEQUENCE, dim)))
            self._rows[name] = values[0], values[1]
        return self._rows[name]

    def _written(self, op: Op) -> list[str] | None:
        """Keys and values that are in the cache already when the attention begins, if they are."""
        owner = cache_of(op)
        if owner is not None:
            return [f"present.{owner}.key", f"present.{owner}.value"]
        if LATENT not in op.kwargs:
            return None
        # Latent attention: values are the keys' first columns, and one cache holds both.
        lowering = self._lowering
        name, width = f"{op.args[3]}.latent", int(lowering.shape(op.args[1])[3])
        rows = reshape(lowering, lowering.value(op.args[1]), (SEQUENCE, width))
        if self._places is None:
            ids = reshape(lowering, lowering.value(Ref("position_ids")), (SEQUENCE, 1))
            front = lowering.builder.constant(np.array([0, 2, 0, 0], np.int64))
            self._places = lowering.builder.node("Pad", [ids, front])[0]
        inputs = [f"past_key_values.{name}", self._places, rows]
        return lowering.builder.node("ScatterND", inputs, outputs=[f"present.{name}"]) * 2

    def _operands(self, op: Op) -> tuple[list[str], tuple[str, str]]:
        """Queries, keys and values as the engine's attention takes them, and what it turns them by."""
        fused = self._fused(op)
        if fused is None:
            # Rotated and normalized by operators of their own, in front of the attention.
            return [self._flat(ref) for ref in op.args[:3]], ("", "")
        packed = self._packed(*fused)
        operands = [packed, "", ""] if packed else [self._states(states) for states in fused]
        return operands, self._rotation(fused[0])

    def _query(self, op: Op) -> tuple[list[str], tuple[str, str]]:
        """As :meth:`_operands`, where keys and values are another attention's."""
        query = follow_heads(self._lowering.graph, op.args[0])
        if query is None or not _turned_by_engine(query):
            return [self._flat(op.args[0])], ("", "")
        return [self._states(query)], self._rotation(query)

    def _fused(self, op: Op) -> tuple[HeadStates, HeadStates, HeadStates] | None:
        """Where queries, keys and values come from, if the engine's attention can do all on the way."""
        found = [follow_heads(self._lowering.graph, ref) for ref in op.args[:3]]
        query, key, value = found
        if query is None or key is None or value is None:
            return None
        if value.table is not None or value.norm is not None or query.table != key.table:
            return None
        return (query, key, value) if _turned_by_engine(query) else None

    def _flat(self, ref: Ref) -> str:
        """An operand [1, H, S, D] as [1, S, H * D]."""
        lowering = self._lowering
        _, heads, _, width = lowering.shape(ref)
        source = lowering.graph.by_name[ref.name]
        if source.target == "aten.transpose" and {int(dim) % 4 for dim in source.args[1:3]} == {1, 2}:
            states = lowering.value(source.args[0])
        else:
            states = lowering.builder.node("Transpose", [lowering.value(ref)], perm=[0, 2, 1, 3])[0]
        return reshape(lowering, states, (1, SEQUENCE, int(heads) * int(width)))

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
            data = self._lowering.builder.data
            self._tables[name] = (
                data.add(f"rope.{name}.cos", [cos], cos.shape),
                data.add(f"rope.{name}.sin", [sin], sin.shape),
            )
        return self._tables[name]


def _turned_by_engine(states: HeadStates) -> bool:
    """Whether onnxruntime can turn them: multiples of 16 dimensions, by positions that it counts itself."""
    table = states.table
    return table is None or (states.rotary_dim % 16 == 0 and table.args[0] == Ref("position_ids"))


def _head_counts(layer: int, shapes: list[tuple[int | str, ...]]) -> tuple[int, int, int]:
    query, key, value = shapes
    if key != value or query[3] != key[3] or int(query[1]) % int(key[1]):
        raise UnsupportedModel(
            f"layer {layer} has attention with queries {query}, keys {key} and values {value}; onnxruntime "
            "needs as many queries for each key, and values as wide as keys"
        )
    return int(query[1]), int(key[1]), int(query[3])
