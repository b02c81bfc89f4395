"""Look-ups by what is computed from a token alone: the table's rows are put in the tokens' order instead."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from toolkit.capture.graph import DecoderGraph, Op, Ref, references
from toolkit.capture.interpret import Interpreter
from toolkit.errors import UnsupportedModel

_TOKENS = Ref("input_ids")


def by_token(graph: DecoderGraph) -> DecoderGraph:
    """Every embedding that reads a function of the token reads the token.

    Gemma 3n looks up its first row for tokens that a second, shorter table does not have.
    """
    tables = [op.args[0].name for op in graph.ops if _reads_tokens(op)]
    sizes = [graph.parameters[name][0] for name in tables if name in graph.parameters]
    if not sizes:
        return graph
    ops: list[Op] = []
    constants = dict(graph.constants)
    for op in graph.ops:
        rows = _rows(graph, op, sizes[0])
        if rows is None:
            ops.append(op)
            continue
        table = op.args[0]
        if not torch.equal(rows, torch.arange(len(rows))):
            order, chosen = f"{op.name}.rows", f"{op.name}.table"
            constants[order] = ((len(rows),), rows)  # type: ignore[assignment]
            shape = (len(rows), *graph.parameters[table.name][1:])
            args = (table, 0, Ref(order))
            ops.append(Op(chosen, "aten.index_select", args, {}, shape, "float32", op.module))
            table = Ref(chosen)
        ops.append(replace(op, args=(table, _TOKENS, *op.args[2:])))
    return replace(graph, ops=tuple(ops), constants=constants)


def _reads_tokens(op: Op) -> bool:
    return op.target == "aten.embedding" and op.args[1] == _TOKENS


def _rows(graph: DecoderGraph, op: Op, vocabulary: int) -> Tensor | None:
    """The row that each token looks up; None where that depends on more than the token, or is it already."""
    if op.target != "aten.embedding" or op.args[1] == _TOKENS or op.args[0].name not in graph.parameters:
        return None
    waiting, seen = [op.args[1].name], set()
    while waiting:
        name = waiting.pop()
        if name in graph.by_name and name not in seen:
            waiting += references(graph.by_name[name])
        seen.add(name)
    if _TOKENS.name not in seen or seen & {"position_ids", *graph.parameters}:
        return None
    tokens = torch.arange(vocabulary)[None]
    found: list[Tensor] = []
    for order in (tokens, tokens.flip(-1)):
        interpreter = Interpreter(graph, vocabulary, read=_unreadable, rope=_no_rope)
        interpreter.assume(_TOKENS.name, order)
        try:
            found.append(interpreter.value(op.args[1].name).reshape(-1))
        except (RuntimeError, TypeError, NotImplementedError, IndexError, AttributeError):
            return None
    # A token's row may not depend on where in the text it stands.
    forwards, backwards = found
    alone = forwards.shape == (vocabulary,) and torch.equal(forwards, backwards.flip(-1))
    return forwards if alone and not forwards.is_floating_point() else None


def _unreadable(name: str) -> Tensor:
    raise UnsupportedModel(f"a row of a table depends on {name}")


def _no_rope(name: str, length: int) -> tuple[Tensor, Tensor]:
    raise UnsupportedModel(f"a row of a table depends on {name}")
