"""One way of saying each thing: rewrites of a captured graph that leave the lowerings fewer operators.

Whatever moves values without computing becomes a view, transpose, permutation, slice, join or
expansion; arithmetic with a sign, a factor or a small power becomes additions and products. What the engines
fuse as it is (splits of the last dimension, transposes of heads) stays as it is.
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.capture.arithmetic_rules import ARITHMETIC
from toolkit.capture.graph import DecoderGraph, Op
from toolkit.capture.movement_rules import MOVES
from toolkit.capture.rewriting import Rewriting
from toolkit.errors import UnsupportedModel

_RULES = {**MOVES, **ARITHMETIC}


def normalize(graph: DecoderGraph) -> DecoderGraph:
    """Rewrite operation by operation, in order."""
    done: dict[str, Op] = {}
    for op in graph.ops:
        rule = _RULES.get(op.target)
        rewriting = Rewriting(graph, done, op)
        try:
            result = None if rule is None else rule(rewriting)
        except (TypeError, ValueError):
            raise UnsupportedModel(
                f"{op} has operands that follow the text in a way that is not known"
            ) from None
        if result is None:
            done[op.name] = op
        else:
            done[op.name] = replace(done.pop(result.name), name=op.name)
    return replace(graph, ops=tuple(done.values()))
