"""What need not be computed on the device: values of parameters alone, and values of the position alone.

``1 + weight`` becomes a parameter of its own. What depends on the position and on nothing else (angles in any
order, scales that grow with the text, ALiBi's distances) becomes a table with one row per position, whatever
operators the model computes it with. That a value has one row per position, which does not depend on how long
the text is, is tried out, never assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from toolkit.capture.graph import SEQUENCE, DecoderGraph, Op, Ref, references
from toolkit.capture.interpret import Interpreter
from toolkit.capture.patterns import rope_table
from toolkit.capture.simplify import without_dead_code, without_no_ops
from toolkit.errors import UnsupportedModel, first_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolkit.compress.parameters import Weights
    from toolkit.compress.tensor import QuantizedTensor

    # Cosines and sines [1, length, dim] of the rotary embedding of that name.
    RopeValues = Callable[[str, int], tuple[Tensor, Tensor]]
    # Rows [context, ...] of a table of that name.
    PositionTables = Callable[[str], NDArray[np.generic]]

POSITION_ROWS = "slm.position_rows"
_PREFIX = "folded."
# Lengths at which a table must agree with itself.
_PROBES = (2, 5)


@dataclass(frozen=True)
class Folded:
    """A graph without what need not be computed.

    Attributes:
        graph: with ``slm.position_rows(position_ids, name)`` where tables are looked up.
        weights: reads its parameters, the folded ones included.
        tables: rows by table name.
    """

    graph: DecoderGraph
    weights: Weights
    tables: PositionTables


def fold(graph: DecoderGraph, weights: Weights, rope: RopeValues, context_length: int) -> Folded:
    """Replace what depends on parameters alone, or on positions alone.

    Args:
        graph: captured.
        weights: reads its parameters.
        rope: evaluates its rotary embeddings.
        context_length: rows of every table.
    """
    kinds = _kinds(graph)
    users = graph.users()

    def interpreter(length: int) -> Interpreter:
        return Interpreter(graph, length, read=weights.read, rope=rope)

    probes = [interpreter(length) for length in _PROBES]
    parameters: dict[str, str] = {}
    ops: list[Op] = []
    shapes = dict(graph.parameters)
    constants = dict(graph.constants)
    for op in graph.ops:
        kind = kinds[op.name]
        if kind == "input" or op.shape is None:
            ops.append(op)
        elif not _is_read_by_inputs(op, users, kinds):
            ops.append(op)  # what reads it is folded
        elif kind == "parameter":
            parameters[_PREFIX + op.name] = op.name
            shapes[_PREFIX + op.name] = tuple(int(size) for size in op.shape)
            ops.append(_alias(op, _PREFIX + op.name))
        elif kind == "constant":
            value = probes[0].value(op.name)
            constants[_PREFIX + op.name] = (tuple(value.shape), value.flatten().tolist())
            ops.append(_alias(op, _PREFIX + op.name))
        elif _only_rotates(graph, op, users) or not _has_rows(op, probes):
            ops.append(op)
        else:
            ops.append(replace(op, target=POSITION_ROWS, args=(Ref("position_ids"), op.name), kwargs={}))
    folded = without_no_ops(DecoderGraph(tuple(ops), shapes, constants, graph.output))
    whole = interpreter(context_length)

    def table(name: str) -> NDArray[np.generic]:
        shape = graph.by_name[name].shape
        assert shape is not None, "a table is one tensor"
        rows: NDArray[np.generic] = whole.value(name).movedim(shape.index(SEQUENCE), 0).contiguous().numpy()
        return rows

    return Folded(
        without_dead_code(folded), _FoldedWeights(weights, parameters, lambda: interpreter(1)), table
    )


@dataclass(frozen=True)
class _FoldedWeights:
    """Reads parameters, and computes the folded ones when they are read, keeping none of them."""

    weights: Weights
    folded: Mapping[str, str]
    interpreter: Callable[[], Interpreter]

    def read(self, name: str) -> Tensor:
        if name not in self.folded:
            return self.weights.read(name)
        value: Tensor = self.interpreter().value(self.folded[name])
        return value.to(torch.float32).contiguous()

    def read_blocks(self, name: str) -> QuantizedTensor | None:
        return None if name in self.folded else self.weights.read_blocks(name)


def _kinds(graph: DecoderGraph) -> dict[str, str]:
    """What each operation depends on: "constant", "parameter", "position", or "input" for anything else."""
    kinds: dict[str, str] = {"position_ids": "position", "input_ids": "input"}
    kinds |= dict.fromkeys(graph.parameters, "parameter") | dict.fromkeys(graph.constants, "constant")
    for op in graph.ops:
        found = {kinds[name] for name in references(op)} - {"constant"}
        if _mentions_sequence(op):
            found.add("position")
        if op.target.startswith("slm.") and op.target not in ("slm.rope_table", "slm.rms_norm"):
            found = {"input"}
        kinds[op.name] = found.pop() if len(found) == 1 else "input" if found else "constant"
    return kinds


def _mentions_sequence(op: Op) -> bool:
    """Whether an operation makes something of the text's length, ``arange`` say."""
    values = [*op.args, *op.kwargs.values()]
    return any(
        value == SEQUENCE or (isinstance(value, tuple) and SEQUENCE in value)
        for value in values
        if not isinstance(value, Ref)
    )


def _is_read_by_inputs(op: Op, users: Mapping[str, list[Op]], kinds: Mapping[str, str]) -> bool:
    """Whether something that has to be computed reads it."""
    return any(kinds[user.name] == "input" for user in users.get(op.name, ()))


def _only_rotates(graph: DecoderGraph, op: Op, users: Mapping[str, list[Op]]) -> bool:
    """Whether it is a half of a rotary embedding that engines' rotations look up themselves."""
    return (
        op.target == "getitem"
        and rope_table(graph, Ref(op.name)) is not None
        and all(user.target == "slm.rotary" for user in users[op.name])
    )


def _has_rows(op: Op, probes: list[Interpreter]) -> bool:
    """Whether the value has one row per position that depends on nothing but that position."""
    assert op.shape is not None, "several results have no rows"
    if op.shape.count(SEQUENCE) != 1:
        return False
    dim = op.shape.index(SEQUENCE)
    try:
        short, long = (probe.value(op.name) for probe in probes)
    except (RuntimeError, TypeError, NotImplementedError, IndexError) as error:
        raise UnsupportedModel(f"{op} cannot be computed ahead: {first_line(error)}") from None
    return bool(torch.equal(long.narrow(dim, 0, short.shape[dim]), short))


def _alias(op: Op, name: str) -> Op:
    return replace(op, target="aten.alias", args=(Ref(name),), kwargs={})
