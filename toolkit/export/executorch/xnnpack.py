"""One XNNPACK graph under construction, and its encoding as a delegate's payload."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as schema
from numpy.typing import NDArray

from toolkit.capture.graph import SEQUENCE
from toolkit.export.executorch.payload import encode
from toolkit.export.executorch.segments import Segments

BACKEND = "XnnpackBackend"
# Stands for the tokens in the cache, the call's included, wherever a size is expected.
TEXT = "T"
_INVALID = 0xFFFFFFFF
_INLINE = 0xFFFFFFFFFFFFFFFF
_EXTERNAL_INPUT = 1
_EXTERNAL_OUTPUT = 2

Shape = tuple[int | str, ...]


@dataclass(frozen=True)
class Node:
    """A value inside one graph.

    Attributes:
        id: in the graph's table.
        shape: with SEQUENCE for the sequence length.
    """

    id: int
    shape: Shape


@dataclass(frozen=True)
class Filter:
    """A linear's weight [out, in] as XNNPACK stores it.

    Attributes:
        key: of the values in the named data; the scales', if any, are under ``scale_`` + key.
        size_bytes: of the values.
        rows: output features.
        columns: input features.
        bits: 32, 8 or 4.
        groups: scales per row; 0 for one float32 scale per row, else bfloat16 ones.
        dynamic_activation: the input is quantized to int8 row by row.
        pairs_swapped: of each two columns the second comes first, as in a 4-bit token table.
        offsets: what every weight of a group has on top of its own value, [rows, groups]; None for zero.
    """

    key: str
    size_bytes: int
    rows: int
    columns: int
    bits: int
    groups: int
    dynamic_activation: bool
    pairs_swapped: bool = False
    offsets: Filter | None = None


class XnnpackGraph:
    """Collects nodes; shapes may hold SEQUENCE, which is serialized as its upper bound.

    Args:
        segments: receive constants, under keys that are hashes of their content.
        longest: largest sequence length of one call.
        context_length: largest number of tokens in the cache.

    Attributes:
        module: path of the model's module whose nodes are being added.
    """

    def __init__(self, segments: Segments, longest: int, context_length: int) -> None:
        self._segments = segments
        self._longest = longest
        self._context_length = context_length
        self.module = ""
        self._tensors: list[Any] = []
        self._nodes: list[Any] = []
        self._modules: list[str] = []
        self._inputs: list[int] = []
        self._stored = [schema.ConstantDataOffset(0, 0)]
        self._constants: dict[tuple[bytes, Shape, bool], Node] = {}
        self._rounded: dict[int, int] = {}
        self._sums: dict[tuple[int, int], Node] = {}

    def input(self, shape: Shape) -> Node:
        """A tensor that the delegate is called with; order is the order of the call's arguments."""
        node = self._tensor(shape)
        self._inputs.append(node.id)
        return node

    def constant(self, array: NDArray[np.float32], *, packed: bool = False) -> Node:
        """A float32 constant; equal ones are stored once in the program, per kind of use.

        Args:
            array: the values.
            packed: it is a filter or bias, which XNNPACK packs and then drops; an elementwise operator must
                not share it, nor find it under the same name in another delegate.
        """
        content = array.tobytes()
        key = (content, array.shape, packed)
        if key not in self._constants:
            name = ("packed_" if packed else "") + hashlib.sha256(content).hexdigest()
            buffer = self._store(name, len(content), content)
            self._constants[key] = self._tensor(array.shape, buffer=buffer)
        return self._constants[key]

    def scalar(self, number: float, *, packed: bool = False) -> Node:
        """A float32 constant of one element."""
        return self.constant(np.array([number], np.float32), packed=packed)

    def unary(self, kind: str, operand: Node) -> Node:
        """An elementwise operator by its name in XNNPACK's schema: Sigmoid, Tanh, Square ..."""
        return self._result(
            operand.shape,
            lambda output: getattr(schema, f"XNN{kind}")(input_id=operand.id, output_id=output, flags=0),
        )

    def binary(self, kind: str, left: Node, right: Node) -> Node:
        """An elementwise operator with broadcasting: Add, Subtract, Multiply, Div, Maximum."""
        return self._result(
            broadcast(left.shape, right.shape),
            lambda output: getattr(schema, f"XNN{kind}")(
                input1_id=left.id, input2_id=right.id, output_id=output, flags=0
            ),
        )

    def matmul(self, left: Node, right: Node) -> Node:
        """Products of matrices [..., M, K] and [..., K, N]."""
        return self._result(
            (*broadcast(left.shape[:-2], right.shape[:-2]), left.shape[-2], right.shape[-1]),
            lambda output: schema.XNNBatchMatrixMultiply(
                input1_id=left.id, input2_id=right.id, output_id=output, flags=0
            ),
        )

    def reshape(self, operand: Node, shape: Shape) -> Node:
        """The same elements in another shape; the sequence length is inferred."""
        if operand.shape == shape:
            return operand
        sizes = [0 if isinstance(size, str) else int(size) for size in shape]
        return self._result(
            shape, lambda output: schema.XNNStaticReshape(len(sizes), sizes, operand.id, output, 0)
        )

    def pad(self, operand: Node, before: Sequence[int], after: Sequence[int], value: float) -> Node:
        """So many elements of a value in front of and behind each dimension."""
        sizes = [
            size if size == SEQUENCE else int(size) + first + last
            for size, first, last in zip(operand.shape, before, after, strict=True)
        ]
        return self._result(
            tuple(sizes),
            lambda output: schema.XNNStaticConstantPad(
                list(before), list(after), value, operand.id, output, 0
            ),
        )

    def transpose(self, operand: Node, order: Sequence[int]) -> Node:
        """Dimensions in another order."""
        return self._result(
            tuple(operand.shape[dim] for dim in order),
            lambda output: schema.XNNStaticTranspose(len(order), list(order), operand.id, output, 0),
        )

    def columns(self, operand: Node, start: int, stop: int) -> Node:
        """Columns ``start:stop`` of the last dimension."""
        return self.cut(operand, len(operand.shape) - 1, start, stop)

    def cut(self, operand: Node, dim: int, start: int, stop: int) -> Node:
        """Elements ``start:stop`` of a dimension."""
        if (start, stop) == (0, operand.shape[dim]):
            return operand
        rank = len(operand.shape)
        offsets, sizes = [0] * rank, [0] * rank
        # Size 0 is "all of it", whatever the sequence length.
        offsets[dim], sizes[dim] = start, stop - start
        return self._result(
            (*operand.shape[:dim], stop - start, *operand.shape[dim + 1 :]),
            lambda output: schema.XNNStaticSlice(rank, offsets, sizes, operand.id, output, 0),
        )

    def concatenate(self, left: Node, right: Node, axis: int = -1) -> Node:
        """Side by side along a dimension, by default the last one."""
        axis %= len(left.shape)
        width = int(left.shape[axis]) + int(right.shape[axis])
        return self._result(
            (*left.shape[:axis], width, *left.shape[axis + 1 :]),
            lambda output: schema.XNNConcatenate2(
                axis=axis,
                input1_id=left.id,
                input2_id=right.id,
                input3_id=_INVALID,
                input4_id=_INVALID,
                input5_id=_INVALID,
                output_id=output,
                flags=0,
            ),
        )

    def linear(self, operand: Node, weight: Filter, bias: NDArray[np.float32] | None) -> Node:
        """``operand @ weight.T + bias`` over the last dimension."""
        columns = self._swap_pairs(operand) if weight.pairs_swapped else operand
        source = self._round(columns) if weight.dynamic_activation else columns.id
        # XNNPACK starts a sum of integer weights and float activations with the bias and multiplies the whole
        # with the row's scale: there the bias is added behind.
        behind = bias is not None and weight.bits < 32 and not weight.dynamic_activation
        packed = None if bias is None or behind else self.constant(bias, packed=True)
        product = self.product(source, self._filter(weight), packed, (*operand.shape[:-1], weight.rows))
        if weight.offsets is not None:
            sums = self._group_sums(operand, weight.columns // weight.groups)
            product = self.binary("Add", product, self.linear(sums, weight.offsets, None))
        return self.binary("Add", product, self.constant(bias)) if behind and bias is not None else product

    def weighted_sum(self, operand: Node, weights: NDArray[np.float32], offset: float) -> Node:
        """``operand @ weights + offset`` over the last dimension, which becomes 1.

        As a linear with one output it is faster than XNNPACK's pooling and needs no reshapes.
        """
        stored = self.constant(weights[None], packed=True)
        bias = self.scalar(offset, packed=True) if offset else None
        return self.product(operand.id, stored.id, bias, (*operand.shape[:-1], 1))

    def _swap_pairs(self, operand: Node) -> Node:
        """Columns 1 0 3 2 5 4 ..."""
        pairs = self.reshape(operand, (*operand.shape[:-1], int(operand.shape[-1]) // 2, 2))
        swapped = self.concatenate(self.columns(pairs, 1, 2), self.columns(pairs, 0, 1))
        return self.reshape(swapped, operand.shape)

    def _group_sums(self, operand: Node, size: int) -> Node:
        """The sum of each ``size`` consecutive columns; linears over one input share them."""
        key = (operand.id, size)
        if key not in self._sums:
            groups = int(operand.shape[-1]) // size
            split = self.reshape(operand, (*operand.shape[:-1], groups, size))
            sums = self.weighted_sum(split, np.ones(size, np.float32), 0.0)
            self._sums[key] = self.reshape(sums, (*operand.shape[:-1], groups))
        return self._sums[key]

    def product(self, source: int, stored: int, bias: Node | None, shape: Shape) -> Node:
        """A fully connected node over ids."""
        return self._result(
            shape,
            lambda output: schema.XNNFullyConnected(
                input1_id=source,
                filter_id=stored,
                bias_id=_INVALID if bias is None else bias.id,
                output_id=output,
                flags=0,
            ),
        )

    @property
    def operators(self) -> list[tuple[str, str]]:
        """Kind and module of each node, in order."""
        kinds = [type(node).__name__.removeprefix("XNN") for node in self._nodes]
        return list(zip(kinds, self._modules, strict=True))

    def payload(self, outputs: Sequence[Node]) -> bytes:
        """Encode the graph; ``outputs`` are the call's last arguments, in order."""
        for position, identifier in enumerate(self._inputs):
            self._expose(identifier, position, _EXTERNAL_INPUT)
        for position, node in enumerate(outputs, start=len(self._inputs)):
            self._expose(node.id, position, _EXTERNAL_OUTPUT)
        graph = schema.XNNGraph(
            version="0",
            xnodes=[schema.XNode(xnode_union=node, debug_handle=0) for node in self._nodes],
            xvalues=[schema.XValue(xvalue_union=tensor) for tensor in self._tensors],
            num_externs=len(self._inputs) + len(outputs),
            input_ids=self._inputs,
            output_ids=[node.id for node in outputs],
            constant_data=self._stored,
        )
        return encode(graph)

    def _expose(self, identifier: int, position: int, flag: int) -> None:
        tensor = self._tensors[identifier]
        tensor.external_id, tensor.flags = position, flag

    def _result(self, shape: Shape, make: Any) -> Node:
        node = self._tensor(shape)
        self._add(make(node.id))
        return node

    def _add(self, node: Any) -> None:
        self._nodes.append(node)
        self._modules.append(self.module)

    def _tensor(self, shape: Shape, *, buffer: int = 0) -> Node:
        self._tensors.append(self._value(shape, schema.XNNDatatype.xnn_datatype_fp32, buffer))
        return Node(len(self._tensors) - 1, shape)

    def _value(self, shape: Shape, datatype: Any, buffer: int = 0) -> Any:
        bounds = {SEQUENCE: self._longest, TEXT: self._context_length}
        dims = [bounds[size] if isinstance(size, str) else size for size in shape]
        return schema.XNNTensorValue(
            datatype=datatype,
            num_dims=len(dims),
            dims=dims,
            constant_buffer_idx=buffer,
            external_id=_INVALID,
            flags=0,
            id_out=len(self._tensors),
        )

    def _store(self, key: str, size_bytes: int, content: bytes | None) -> int:
        if content is not None:
            self._segments.name(key, content)
        self._stored.append(schema.ConstantDataOffset(_INLINE, size_bytes, key))
        return len(self._stored) - 1

    def _round(self, operand: Node) -> int:
        """The operand quantized to int8 with one scale per row; linears over one input share it."""
        if operand.id not in self._rounded:
            value = self._value(operand.shape, schema.XNNDatatype.xnn_datatype_qdint8)
            identifier = len(self._tensors)
            self._tensors.append(
                schema.XNNQuantizedTensorValue(value, schema.PerTokenDynamicQuant(num_nonbatch_dims=1))
            )
            self._add(schema.XNNConvert(input_id=operand.id, output_id=identifier, flags=0))
            self._rounded[operand.id] = identifier
        return self._rounded[operand.id]

    def _filter(self, weight: Filter) -> int:
        buffer = self._store(weight.key, weight.size_bytes, None)
        types = schema.XNNDatatype
        if weight.bits == 32:
            return self._tensor((weight.rows, weight.columns), buffer=buffer).id
        scales = weight.rows * max(weight.groups, 1)
        scale_buffer = self._store(f"scale_{weight.key}", scales * (2 if weight.groups else 4), None)
        quantization: Any
        if weight.groups:
            datatype = types.xnn_datatype_qbint4
            quantization = schema.PerChannelGroupQuant(
                scale=[],
                channel_dim=0,
                group_size=weight.columns // weight.groups,
                scale_buffer_idx=scale_buffer,
                num_scales=scales,
            )
        else:
            datatype = types.xnn_datatype_qcint4 if weight.bits == 4 else types.xnn_datatype_qcint8
            quantization = schema.PerChannelQuant(
                scale=[], channel_dim=0, scale_buffer_idx=scale_buffer, num_scales=scales
            )
        value = self._value((weight.rows, weight.columns), datatype, buffer)
        self._tensors.append(schema.XNNQuantizedTensorValue(value, quantization))
        return len(self._tensors) - 1


def broadcast(left: Shape, right: Shape) -> Shape:
    """The shape of an elementwise result."""
    rank = max(len(left), len(right))
    padded = [(1,) * (rank - len(shape)) + shape for shape in (left, right)]
    return tuple(b if a == 1 else a for a, b in zip(*padded, strict=True))
