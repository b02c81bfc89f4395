"""Look-ups by what is computed from a token."""

from __future__ import annotations

import pytest
import torch

from toolkit.capture.graph import DecoderGraph, Op, Ref
from toolkit.capture.interpret import Interpreter
from toolkit.capture.token_rows import by_token

VOCABULARY, ROWS, WIDTH = 7, 5, 3
WEIGHTS = {
    "tokens": torch.randn(VOCABULARY, WIDTH, generator=torch.Generator().manual_seed(0)),
    "more": torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(1)),
}


def graph_of(*places: Op) -> DecoderGraph:
    """Two tables: one looked up by the token, one by the last of ``places``."""
    shape = (1, "S", WIDTH)
    first = Op("first", "aten.embedding", (Ref("tokens"), Ref("input_ids")), {}, shape, "float32")
    second = Op("second", "aten.embedding", (Ref("more"), Ref(places[-1].name)), {}, shape, "float32")
    added = Op("sum", "aten.add", (Ref("first"), Ref("second")), {}, shape, "float32")
    shapes = {name: tuple(weight.shape) for name, weight in WEIGHTS.items()}
    return DecoderGraph((first, *places, second, added), shapes, {}, "sum")


def op(name: str, target: str, *args: object) -> Op:
    return Op(name, f"aten.{target}", args, {}, (1, "S"), "int64")


def value(graph: DecoderGraph, text: list[int]) -> torch.Tensor:
    interpreter = Interpreter(
        graph, len(text), read=WEIGHTS.__getitem__, rope=lambda name, length: pytest.fail(name)
    )
    interpreter.assume("input_ids", torch.tensor([text]))
    found: torch.Tensor = interpreter.value(graph.output)
    return found


def test_tokens_without_a_row_look_up_the_first_one_as_before() -> None:
    known = op("known", "lt", Ref("input_ids"), ROWS)
    before = graph_of(known, op("row", "where", Ref("known"), Ref("input_ids"), 0))
    after = by_token(before)
    assert [one.args[1] for one in after.ops if one.target == "aten.embedding"] == [Ref("input_ids")] * 2
    text = [6, 0, 4, 5, 1]
    assert torch.equal(value(after, text)[0], WEIGHTS["tokens"][text] + WEIGHTS["more"][[0, 0, 4, 0, 1]])


def test_a_row_that_depends_on_the_place_stays_as_it_is() -> None:
    before = graph_of(op("row", "remainder", Ref("position_ids"), ROWS))
    assert by_token(before) == before
    counted = graph_of(op("one", "ne", Ref("input_ids"), 0), op("row", "cumsum", Ref("one"), 1))
    assert by_token(counted) == counted
