"""The two ends of a decoder: tokens are looked up, and the last position alone reaches the output."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.capture.graph import Op
from toolkit.capture.patterns import is_head, resolve
from toolkit.compress.parameters import Matrix
from toolkit.compress.tensor import QuantizedTensor
from toolkit.errors import UnsupportedModel
from toolkit.export.executorch.packing import table_scales, table_values, table_zero_points
from toolkit.export.executorch.partition import Partition, Result
from toolkit.export.executorch.program import Value
from toolkit.export.executorch.xnnpack import Shape

_ROW_WISE = ("slm.rms_norm", "aten.layer_norm")
_TO_THE_END = 2**63 - 1


def look_up_tokens(partition: Partition, op: Op, matrix: Matrix) -> Result:
    """Rows of the token table; a tied one is written where the output projection finds it."""
    assert op.shape is not None, "an embedding yields one tensor"
    method = partition.method
    output = method.tensor(partition.bound(op.shape))
    stored = partition.weights.table(matrix)
    key = matrix.name if partition.weights.is_shared(matrix) else None
    if isinstance(stored, QuantizedTensor):
        _look_up_quantized(partition, stored, output, key)
    else:
        literals = [method.literal(value) for value in (-1, False, False)]
        table = method.constant(stored, key=key)
        method.call("aten::embedding.out", [table, partition.input_ids, *literals, output, output])
    return partition.from_value(output, op.shape)


def _look_up_quantized(partition: Partition, table: QuantizedTensor, output: Value, key: str | None) -> None:
    method, half = partition.method, 2 ** (table.bits - 1)
    zero_points = table_zero_points(table)
    name = "embedding_4bit" if table.bits == 4 else "embedding_byte"
    arguments = [
        method.constant(table_values(table), key=key),
        method.constant(table_scales(table)),
        method.literal(None) if zero_points is None else method.constant(zero_points),
        method.literal(-half),
        method.literal(half - 1),
        partition.input_ids,
        method.literal(None),
        output,
        output,
    ]
    # The plain overload wants scales of the output's type; this one does not.
    method.call(f"quantized_decomposed::{name}.dtype_out", arguments)


def first_last_position_operation(partition: Partition, tied: Mapping[str, str]) -> Op:
    """The first operation that need only see the last position: the head, or the norm before it."""
    graph = partition.graph
    head = next((op for op in graph.ops if op.target == "aten.linear" and is_head(graph, tied, op)), None)
    if head is None:
        raise UnsupportedModel("the graph has no output projection")
    before = resolve(graph, head.args[0])
    if before is None or before.target not in _ROW_WISE or len(partition.users[before.name]) > 1:
        return head
    return before


def select_last_position(partition: Partition, op: Op) -> None:
    """Make an operation read its operand's last position only."""
    source = partition.result(op.args[0])
    shape: Shape = (1, 1, *source.shape[2:])
    method = partition.method
    output = method.tensor(partition.bound(shape), dynamic=False)
    # The kernel takes the position before the end, however long the sequence is.
    literals = map(method.literal, (1, -1, _TO_THE_END, 1))
    tensor = partition.tensor(source)
    method.call("aten::slice_copy.Tensor_out", [tensor, *literals, output, output])
    partition.set_result(op.args[0].name, partition.from_value(output, shape))
