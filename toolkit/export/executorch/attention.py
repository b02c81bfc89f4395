"""Attention: llama's cache and attention kernels, the rotary embedding, and the sliding window's mask."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from toolkit.capture.graph import SEQUENCE, Op, Ref
from toolkit.capture.latent import LATENT
from toolkit.capture.patterns import rope_table
from toolkit.capture.shared_caches import cache_of
from toolkit.errors import UnsupportedModel
from toolkit.export.executorch.layout import heads_second
from toolkit.export.executorch.partition import Partition, Result
from toolkit.export.executorch.program import Value
from toolkit.export.executorch.xnnpack import TEXT, Node, Shape

if TYPE_CHECKING:
    from toolkit.capture.folding import PositionTables
    from toolkit.capture.rope import RopeTables

# Added to a score per position outside the window: far below any score, and finite, so that a row can never
# turn into NaN.
_OUTSIDE = -1e9
# The smallest normal number.
_LEAST_SHARE = 1.2e-38
_HEADS_FIRST = (0, 2, 1, 3)


class Attention:
    """Emits the attention operations of a graph, and everything that depends on the position."""

    def __init__(
        self, partition: Partition, rope_tables: RopeTables, position_tables: PositionTables
    ) -> None:
        self._partition = partition
        self._position_tables = position_tables
        self._stored_tables: dict[tuple[tuple[int, ...], bytes], Value] = {}
        self._rope_tables = rope_tables
        self._tables: dict[str, tuple[Result, Result]] = {}
        self._caches: dict[int, tuple[Value, Value]] = {}
        self._masks: dict[int, Result] = {}
        self._seen_masks: dict[int, Result] = {}
        self._places: Result | None = None

    def emit(self, op: Op) -> Result:
        """Append keys and values to the layer's cache, unless it reads another one's, and attend over it."""
        layer, scale, window, softcap = op.args[3:7]
        partition, method = self._partition, self._partition.method
        for ref in op.args[:3]:
            partition.set_result(ref.name, heads_second(partition, partition.result(ref)))
        query, key, value = (partition.result(ref) for ref in op.args[:3])
        heads, kv_heads, head_dim = self._head_counts(layer, query, key, value)
        start, _, _ = partition.positions()
        owner = cache_of(op)
        if owner is None:
            shape = [1, partition.context_length, kv_heads, head_dim]
            keys = self._appended(key, shape)
            # Values are the keys' first columns in latent attention.
            self._caches[layer] = keys, keys if LATENT in op.kwargs else self._appended(value, shape)
        caches = self._caches[layer if owner is None else owner]
        sinks = op.args[7] if len(op.args) > 7 else None
        if softcap or sinks is not None:
            scores = self._scores(query, caches[0], float(scale), window, softcap)
            return self._weighted(scores, caches[1], sinks)
        mask = method.literal(None)
        if window and window < partition.context_length:
            mask = partition.tensor(self._mask(window))
        output_shape = (1, SEQUENCE, heads, head_dim)
        output = method.tensor(partition.bound(output_shape))
        numbers = map(method.literal, (0.0, mask == method.literal(None), float(scale)))
        arguments = [partition.tensor(query), *caches, start, mask, *numbers, output, output]
        method.call("llama::custom_sdpa.out", arguments)
        return partition.from_value(output, output_shape)

    def _appended(self, states: Result, shape: list[int]) -> Value:
        """A cache, and the call's rows in it."""
        partition, method = self._partition, self._partition.method
        cache, tensor = method.cache(shape), partition.tensor(states)
        start, _, _ = partition.positions()
        # The kernel writes the cache in place; what it returns is not meant to be read.
        unread = method.tensor([1], dynamic=False)
        method.call("llama::update_cache.out", [tensor, cache, start, unread, unread])
        return cache

    def _scores(self, query: Result, keys: Value, scale: float, window: int, softcap: float) -> Node:
        """Masked scores [1, H, S, T] in XNNPACK, for what llama::custom_sdpa lacks."""
        partition = self._partition
        heads = int(query.shape[2])
        seen = self._seen(keys)
        mask = partition.node(self._seen_mask(self._seen_places(), window or partition.context_length))
        graph = partition.delegate()
        states = graph.transpose(partition.node(query), _HEADS_FIRST)
        key = graph.transpose(self._repeated(partition.node(seen), heads), (0, 2, 3, 1))
        if not softcap:
            return graph.binary(
                "Add", graph.matmul(graph.binary("Multiply", states, graph.scalar(scale)), key), mask
            )
        scaled = graph.binary("Multiply", states, graph.scalar(scale / softcap))
        capped = graph.unary("Tanh", graph.matmul(scaled, key))
        return graph.binary("Add", graph.binary("Multiply", capped, graph.scalar(softcap)), mask)

    def _weighted(self, scores: Node, values: Value, sinks: Ref | None) -> Result:
        """The softmax's sum of values, with sinks times sigmoid(log of the sum of exponentials - sink)."""
        partition, graph = self._partition, self._partition.delegate()
        heads = int(scores.shape[1])
        shares = graph.unary("Softmax", scores)
        seen = self._repeated(partition.node(self._seen(values)), heads)
        value = graph.transpose(seen, _HEADS_FIRST)
        output = graph.matmul(shares, value)
        if sinks is not None:
            # Each score minus the log of its share is that log of the sum; shares of 0 count nothing.
            least = graph.binary("Maximum", shares, graph.scalar(_LEAST_SHARE))
            terms = graph.binary("Subtract", scores, graph.unary("Log", least))
            ones = graph.binary("Multiply", graph.columns(value, 0, 1), graph.scalar(0.0))
            ones = graph.binary("Add", ones, graph.scalar(1.0))
            total = graph.matmul(graph.binary("Multiply", shares, terms), ones)
            numbers = partition.weights.vector(sinks.name).reshape(1, heads, 1, 1)
            above = graph.binary("Subtract", total, graph.constant(numbers))
            output = graph.binary("Multiply", output, graph.unary("Sigmoid", above))
        return partition.from_node(output, heads_second=True)

    def _repeated(self, node: Node, heads: int) -> Node:
        """Keys or values [1, T, KVH, D] once for each query's head."""
        graph = self._partition.delegate()
        _, text, kv_heads, width = node.shape
        if kv_heads == heads:
            return node
        single = graph.reshape(node, (1, text, kv_heads, 1, width))
        zeros = graph.constant(np.zeros((1, 1, 1, heads // int(kv_heads), 1), np.float32))
        return graph.reshape(graph.binary("Add", single, zeros), (1, text, heads, width))

    def _seen(self, cache: Value) -> Result:
        """What a cache holds so far, [1, T, KVH, D]."""
        method, (_, _, end) = self._partition.method, self._partition.positions()
        shape: Shape = (1, TEXT, *method.shape(cache)[2:])
        output = method.tensor(self._partition.bound(shape))
        literals = [method.literal(1), method.literal(0), end, method.literal(1)]
        method.call("aten::slice_copy.Tensor_out", [cache, *literals, output, output])
        return self._partition.from_value(output, shape)

    def _seen_places(self) -> Result:
        """The positions in the cache, [1, T]."""
        if self._places is None:
            partition, method = self._partition, self._partition.method
            positions = np.arange(partition.context_length, dtype=np.float32)[None]
            output = method.tensor(partition.bound((1, TEXT)))
            literals = [method.literal(1), method.literal(0), partition.positions()[2], method.literal(1)]
            arguments = [method.constant(positions), *literals, output, output]
            method.call("aten::slice_copy.Tensor_out", arguments)
            self._places = partition.from_value(output, (1, TEXT))
        return self._places

    def _seen_mask(self, places: Result, window: int) -> Result:
        """Additive mask [S, T]."""
        if window not in self._seen_masks:
            partition = self._partition
            own_positions = np.arange(partition.context_length, dtype=np.float32)
            own = partition.node(self.rows(own_positions[:, None], "window"))
            graph = partition.delegate()
            own = graph.reshape(own, (SEQUENCE, 1))
            mask = self._outside(own, partition.node(places), window)
            self._seen_masks[window] = partition.from_node(mask)
            # Every layer reads it.
            partition.tensor(self._seen_masks[window])
        return self._seen_masks[window]

    def _outside(self, own: Node, seen: Node, window: int) -> Node:
        """0 where a position is seen, hugely negative elsewhere."""
        graph = self._partition.delegate()
        distance = graph.binary("Subtract", own, seen)
        ahead = graph.binary("Subtract", graph.scalar(0.0), distance)
        behind = graph.binary("Subtract", distance, graph.scalar(float(window - 1)))
        excess = graph.binary("Maximum", graph.binary("Maximum", ahead, behind), graph.scalar(0.0))
        return graph.binary("Multiply", excess, graph.scalar(_OUTSIDE))

    def rotary(self, op: Op) -> Result:
        """Rotate halves: states * cos + (second half, first half) * (-sin, sin)."""
        partition = self._partition
        states = heads_second(partition, partition.result(op.args[0]))
        cos, sin = (partition.node(result) for result in self._angles(op))
        node, graph = partition.node(states), partition.delegate()
        size, width = int(cos.shape[-1]), int(node.shape[-1])
        front = graph.columns(node, 0, size)
        halves = graph.columns(front, size // 2, size), graph.columns(front, 0, size // 2)
        turned = graph.binary("Multiply", graph.concatenate(*halves), sin)
        rotated = graph.binary("Add", graph.binary("Multiply", front, cos), turned)
        if size < width:
            rotated = graph.concatenate(rotated, graph.columns(node, size, width))
        return partition.from_node(rotated, heads_second=True)

    def _angles(self, op: Op) -> tuple[Result, Result]:
        """Cosines and signed sines of the call's positions, [1, S, 1, dim]."""
        partition = self._partition
        table = rope_table(partition.graph, op.args[1])
        if table is not None and table.args[0] == Ref("position_ids"):
            return self._rotation(table.args[1])
        cos, sin = (partition.result(ref) for ref in op.args[1:3])
        graph, dim = partition.delegate(), int(cos.shape[-1])
        sign = graph.constant(np.repeat(np.array([-1, 1], np.float32), dim // 2))
        signed = graph.binary("Multiply", partition.node(sin), sign)
        shape = (1, SEQUENCE, 1, dim)
        nodes = (graph.reshape(node, shape) for node in (partition.node(cos), signed))
        return partition.from_node(next(nodes)), partition.from_node(next(nodes))

    def position_rows(self, op: Op) -> Result:
        """The call's positions' rows of a table that was computed ahead, shaped as the graph has them."""
        table = self._position_tables(op.args[1])
        if table.dtype.kind not in "fi":
            raise UnsupportedModel(f"{op} is a flag for each position, which has no ExecuTorch lowering")
        assert op.shape is not None, "rows are one tensor"
        rows = self.rows(table.astype(np.float32), f"table {op.args[1]}")
        graph, node = self._partition.delegate(), self._partition.node(rows)
        dim = op.shape.index(SEQUENCE)
        if all(size == 1 for size in op.shape[:dim]):
            return self._partition.from_node(graph.reshape(node, op.shape))
        node = graph.reshape(node, (SEQUENCE, *(size for size in op.shape if size != SEQUENCE)))
        order = [*range(1, dim + 1), 0, *range(dim + 1, len(op.shape))]
        return self._partition.from_node(graph.transpose(node, order))

    def embedding_rows(self, name: str, places: str) -> Result:
        """Rows of a parameter at places that depend on the position alone."""
        table = self._partition.weights.vector(name)
        rows = self._position_tables(places).reshape(-1).astype(np.int64)
        if int(rows.max()) >= len(table):
            raise UnsupportedModel(f"{name} has {len(table)} rows, the context needs {int(rows.max()) + 1}")
        return self.rows(table[rows], "position embedding")

    def rows(self, table: NDArray[np.float32], subject: str) -> Result:
        """Rows ``start .. start + S`` of a table with one row per position, as [1, S, ...]."""
        partition, method = self._partition, self._partition.method
        if len(table) < partition.context_length:
            raise UnsupportedModel(f"the {subject} has {len(table)} positions only")
        start, _, end = partition.positions()
        stored = np.ascontiguousarray(table[None, : partition.context_length])
        # Layers that turn alike compute the same table each.
        key = (stored.shape, hashlib.sha256(stored.tobytes()).digest())
        if key not in self._stored_tables:
            self._stored_tables[key] = method.constant(stored)
        constant = self._stored_tables[key]
        shape = (1, SEQUENCE, *table.shape[1:])
        output = method.tensor(partition.bound(shape))
        arguments = [
            constant,
            method.literal(1),
            start,
            end,
            method.literal(1),
            output,
            output,
        ]
        method.call("aten::slice_copy.Tensor_out", arguments)
        return partition.from_value(output, shape)

    def _head_counts(self, layer: int, query: Result, key: Result, value: Result) -> tuple[int, int, int]:
        shapes = query.shape, key.shape, value.shape
        heads, kv_heads, head_dim = int(shapes[0][2]), int(shapes[1][2]), int(shapes[0][3])
        if shapes[1] != shapes[2] or shapes[1][3] != head_dim or heads % kv_heads:
            raise UnsupportedModel(
                f"layer {layer} has attention with queries {shapes[0]}, keys {shapes[1]} and values "
                f"{shapes[2]}; llama::custom_sdpa needs as many queries for each key, and values as wide as "
                "keys"
            )
        return heads, kv_heads, head_dim

    def _rotation(self, name: str) -> tuple[Result, Result]:
        """Cosines and signed sines of the call's positions, [1, S, 1, head_dim]."""
        if name not in self._tables:
            cos, sin = self._rope_tables(name)
            full = np.concatenate([cos, cos], axis=1), np.concatenate([-sin, sin], axis=1)
            rows = [self.rows(table[:, None], "rotary embedding") for table in full]
            self._tables[name] = rows[0], rows[1]
        return self._tables[name]

    def _mask(self, window: int) -> Result:
        """Additive mask [S, context]: 0 where a position is seen, hugely negative elsewhere.

        With d = own position - seen position, a position is seen when 0 <= d < window.
        """
        if window not in self._masks:
            partition = self._partition
            positions = np.arange(partition.context_length, dtype=np.float32)
            own = partition.node(self.rows(positions[:, None], "window"))
            graph = partition.delegate()
            own = graph.reshape(own, (SEQUENCE, 1))
            mask = self._outside(own, graph.constant(positions[None]), window)
            self._masks[window] = partition.from_node(mask)
        return self._masks[window]
