"""Lowerings of what routers compute with: the largest entries, their places, look-ups by them, flags.

XNNPACK has none of it; ExecuTorch's own kernels do. Flags are numbers, 0 or 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from toolkit.capture.graph import Op, Ref
from toolkit.capture.patterns import entries_looked_up
from toolkit.errors import UnsupportedModel
from toolkit.export.executorch.layout import plain
from toolkit.export.executorch.partition import Partition, Result
from toolkit.export.executorch.program import Value

# Operators with two results, of which parts are read.
TWO_RESULTS = ("aten.topk", "aten.max")
# In place of infinity: products of 0 and infinity are no numbers.
_FAR = 1e30


def finite(number: float) -> float:
    """A number, or a large one in place of infinity."""
    return math.copysign(_FAR, number) if math.isinf(number) else number


def _tensor(partition: Partition, ref: Ref) -> Value:
    return partition.tensor(plain(partition, partition.result(ref)))


def two_results(partition: Partition, op: Op) -> None:
    """The largest entries of a dimension and their places, which parts of the result are."""
    method, source = partition.method, _tensor(partition, op.args[0])
    parts = {int(user.args[1]): user for user in partition.users[op.name]}
    shape = next(iter(parts.values())).shape
    assert shape is not None, "a part is one tensor"
    bound = partition.bound(shape)
    values, places = method.tensor(bound), method.tensor(bound, "int64")
    if op.target == "aten.topk":
        numbers: list[int | bool] = [int(op.args[1]), int(op.argument(2, "dim", -1))]
        numbers += [bool(op.argument(3, "largest", True)), bool(op.argument(4, "sorted", True))]
        kernel = "aten::topk.values"
    else:
        numbers = [int(op.args[1]), bool(op.argument(2, "keepdim", False))]
        kernel = "aten::max.dim_max"
    literals = [method.literal(number) for number in numbers]
    method.call(kernel, [source, *literals, values, places, method.tensors([values, places])])
    for index, user in parts.items():
        partition.set_result(user.name, partition.from_value((values, places)[index], shape))


def _gather(partition: Partition, op: Op) -> Result:
    method, (source, places) = partition.method, (_tensor(partition, op.args[i]) for i in (0, 2))
    assert op.shape is not None, "a look-up yields one tensor"
    output = method.tensor(partition.bound(op.shape))
    literals = [method.literal(int(op.args[1])), places, method.literal(False)]
    method.call("aten::gather.out", [source, *literals, output, output])
    return partition.from_value(output, op.shape)


def _index(partition: Partition, op: Op) -> Result:
    method, (source, places) = partition.method, entries_looked_up(partition.graph, op)
    assert op.shape is not None, "a look-up yields one tensor"
    is_stored = source.name in partition.graph.parameters or source.name in partition.graph.constants
    entries = method.constant(partition.numbers(source.name)) if is_stored else _tensor(partition, source)
    indices = method.optional_tensors([_tensor(partition, places)])
    output = method.tensor(partition.bound(op.shape))
    method.call("aten::index.Tensor_out", [entries, indices, output, output])
    return partition.from_value(output, op.shape)


def _scatter(partition: Partition, op: Op) -> Result:
    method, (source, places) = partition.method, (_tensor(partition, op.args[i]) for i in (0, 2))
    assert op.shape is not None, "what is written into is one tensor"
    written = op.args[3]
    if isinstance(written, Ref):
        kernel, value = "aten::scatter.src_out", _tensor(partition, written)
    else:
        kernel, value = "aten::scatter.value_out", method.literal(finite(float(written)))
    output = method.tensor(partition.bound(op.shape))
    method.call(kernel, [source, method.literal(int(op.args[1])), places, value, output, output])
    return partition.from_value(output, op.shape)


def cat_integers(partition: Partition, op: Op) -> Result:
    """Places side by side; XNNPACK joins floats only."""
    method, shape = partition.method, op.shape
    assert shape is not None, "a join is one tensor"
    sources = method.tensors([_tensor(partition, ref) for ref in op.args[0]])
    output = method.tensor(partition.bound(shape), "int64")
    method.call("aten::cat.out", [sources, method.literal(int(op.args[1])), output, output])
    return partition.from_value(output, shape)


def cut_integers(partition: Partition, op: Op) -> Result:
    """Some of a dimension's places; XNNPACK cuts floats only."""
    method, shape = partition.method, op.shape
    assert shape is not None, "a cut is one tensor"
    source, ends = _tensor(partition, op.args[0]), [method.literal(int(number)) for number in op.args[1:4]]
    output = method.tensor(partition.bound(shape), "int64")
    method.call("aten::slice_copy.Tensor_out", [source, *ends, method.literal(1), output, output])
    return partition.from_value(output, shape)


def _cast(partition: Partition, op: Op) -> Result:
    source = partition.result(op.args[0])
    before = partition.graph.by_name.get(op.args[0].name)
    if op.dtype == "bool" and (before is None or before.dtype == "float32"):
        graph = partition.delegate()
        # Any normal number times this is at least 1.
        far = graph.binary("Multiply", graph.unary("Abs", partition.node(source)), graph.scalar(3e38))
        node = graph.binary("Minimum", far, graph.scalar(1.0))
        return partition.from_node(node, heads_second=source.heads_second)
    if op.dtype == "float32" and before is not None and before.dtype == "bool":
        return source
    raise UnsupportedModel(f"{op} makes numbers of type {op.dtype}")


def _not(partition: Partition, op: Op) -> Result:
    if op.dtype != "bool":
        raise UnsupportedModel(f"{op} inverts bits of numbers")
    source, graph = partition.result(op.args[0]), partition.delegate()
    node = graph.binary("Subtract", graph.scalar(1.0), partition.node(source))
    return partition.from_node(node, heads_second=source.heads_second)


EMITTERS: dict[str, Callable[[Partition, Op], Result]] = {
    "aten.gather": _gather,
    "aten.index": _index,
    "aten.scatter": _scatter,
    "aten.to": _cast,
    "aten._to_copy": _cast,
    "aten.bitwise_not": _not,
    "aten.logical_not": _not,
}
