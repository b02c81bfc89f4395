"""Single rows of what compares all positions, against the rows of the whole."""

from __future__ import annotations

import pytest
import torch

from toolkit.capture.graph import SEQUENCE, DecoderGraph, Op, Ref
from toolkit.capture.interpret import Interpreter
from toolkit.capture.pair_rows import PairRows, no_rope, unreadable
from toolkit.errors import UnsupportedModel

S = SEQUENCE


def op(name: str, target: str, args: tuple[object, ...], shape: tuple[int | str, ...]) -> Op:
    return Op(name, target, args, {}, shape, "float32")


# A causal mask by positions, a window by triangles, and both joined to scores of two heads.
GRAPH = DecoderGraph(
    (
        op("columns", "aten.arange", (S,), (S,)),
        op("rows", "aten.view", (Ref("columns"), (S, 1)), (S, 1)),
        op("causal", "aten.le", (Ref("columns"), Ref("rows")), (S, S)),
        op("mask", "aten.where", (Ref("causal"), 0.0, -1e9), (S, S)),
        op("ones", "aten.ones", ((S, S),), (S, S)),
        op("upper", "aten.triu", (Ref("ones"), -2), (S, S)),
        op("band", "aten.tril", (Ref("upper"), 3), (S, S)),
        op("turned", "aten.transpose", (Ref("band"), 0, 1), (S, S)),
        op("both", "aten.mul", (Ref("mask"), Ref("turned")), (S, S)),
        op("one", "aten.unsqueeze", (Ref("both"), 0), (1, S, S)),
        op("heads", "aten.expand", (Ref("one"), (2, S, S)), (2, S, S)),
        op("scores", "aten.matmul", (Ref("q"), Ref("k")), (2, S, S)),
        op("sum", "aten.add", (Ref("heads"), Ref("scores")), (2, S, S)),
        op("running", "aten.cumsum", (Ref("sum"), 1), (2, S, S)),
    ),
    {},
    {},
    "running",
)


@pytest.mark.parametrize("row", [0, 5, 10])
@pytest.mark.parametrize("name", ["causal", "mask", "band", "turned", "both", "heads", "sum", "running"])
def test_a_row_is_that_of_the_whole(name: str, row: int) -> None:
    whole = Interpreter(GRAPH, 11, read=unreadable, rope=no_rope)
    whole.assume("scores", torch.full((2, 11, 11), 0.5))
    rows = PairRows(GRAPH, 11, row)
    rows.assume(GRAPH.by_name["scores"], 0.5)
    assert torch.equal(rows.of(name, -2), whole.value(name).narrow(-2, row, 1))


def test_rows_of_a_long_text_need_no_square() -> None:
    rows = PairRows(GRAPH, 2**20, 2**19)
    rows.assume(GRAPH.by_name["scores"], 0.5)
    # Of the window that the triangles leave, two tokens lie behind the row's own.
    assert int((rows.of("sum", -2)[0] < -1e8).sum()) == 2
    with pytest.raises(UnsupportedModel, match="cannot be followed over 1048576 positions"):
        rows.of("running", -2)
