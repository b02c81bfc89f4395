"""The search's choices, on made figures whose best answer is known."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from toolkit.analysis.pareto import pareto_front
from toolkit.autotune.candidates import Candidate, candidates
from toolkit.autotune.picking import check_pick, picked
from toolkit.autotune.request import AutotuneRequest
from toolkit.autotune.search import Measured, first_ones, next_ones, small_enough
from toolkit.autotune.tuning import recipe_text
from toolkit.errors import UsageError
from toolkit.export.estimated_conversion import FoundDecoder, estimate_of
from toolkit.export.quantization import plan_of
from toolkit.export.request import ConvertRequest
from toolkit.models.catalogue.catalogue import shipped
from toolkit.models.facts_shape import shape_of_entry
from toolkit.recipes.matrix import conversions
from toolkit.recipes.validation import recipe_from_text

BASE = ConvertRequest(model="m")


@pytest.fixture(scope="module")
def smollm() -> FoundDecoder:
    shape = shape_of_entry(shipped()["SmolLM-135M"])
    assert shape is not None
    return FoundDecoder("SmolLM-135M", shape, "facts")


def candidate(quant: str, size_mb: float, guess: float, **options: object) -> Candidate:
    size = int(size_mb * 1e6)
    return Candidate(BASE.model_copy(update={"quant": quant, **options}), size, guess, size)


def measured(one: Candidate, loss: float, speed: float | None = None) -> Measured:
    return Measured(one, Path("artifact"), one.size_bytes, loss, 1 + loss, speed)


def test_candidates_are_different_plans_with_the_estimators_sizes(smollm: FoundDecoder) -> None:
    found = candidates(smollm, BASE)
    plans = [plan_of(one.request, tied=smollm.shape.tied) for one in found]
    assert len(set(plans)) == len(plans) > 50
    for one in found[:: len(found) // 5]:
        figures = estimate_of(smollm, one.request).estimate
        assert (one.size_bytes, one.decode_bytes) == (figures.artifact_bytes, figures.decode_weights_bytes)
    asked = {field: {getattr(one.request, field) for one in found} for field in ConvertRequest.model_fields}
    assert {"mobile-4bit", "mobile-8bit", "8da4w", "8da8w"} <= asked["quant"]
    assert {32, 64} <= asked["group_size"] and {True, False} <= asked["symmetric"]
    assert "gptq" in asked["algorithm"] and {"value,last_down", "value,down"} <= asked["eight_bit"]


def test_every_engine_has_candidates(smollm: FoundDecoder) -> None:
    found = candidates(smollm, BASE.model_copy(update={"backend": "executorch"}))
    assert len(found) > 10 and found[0].size_bytes < found[-1].size_bytes


def test_the_recipe_of_a_search_asks_for_each_candidate_in_their_order(
    smollm: FoundDecoder, tmp_path: Path
) -> None:
    base = ConvertRequest(model="random:llama-tiny", backend="executorch", context=64)
    found = candidates(smollm, base)
    text = recipe_text(AutotuneRequest(model=base.model, backend="executorch"), base, found)
    asked = [one.request for one in conversions(recipe_from_text(text, tmp_path).convert)]
    assert asked == [one.request for one in found] and len(asked) > 10


def test_the_default_preset_is_among_the_first_and_ends_of_the_guessed_front(smollm: FoundDecoder) -> None:
    found = small_enough(candidates(smollm, BASE), 92)
    first = first_ones(found, "mobile-4bit", 4)
    assert len(first) == 4 and first[0].label == "mobile-4bit"
    sizes = [one.size_bytes for one in first[1:]]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] <= 1.03 * 92e6


def test_measurements_of_a_scheme_correct_its_other_guesses() -> None:
    good, bad = candidate("8da8w", 90, 0.1), candidate("8da4w", 80, 0.1)
    better_good, better_bad = (
        candidate("8da8w", 91, 0.09, algorithm="gptq"),
        candidate("8da4w", 91, 0.08, algorithm="gptq"),
    )
    known = [measured(good, 0.01), measured(bad, 1.0)]
    found = next_ones([good, bad, better_good, better_bad], [good, bad], known, AutotuneRequest(model="m"))
    assert found == [better_good], "ten times as bad as guessed is no better than what there is"


def test_a_search_ends_when_no_guess_is_beyond_the_front() -> None:
    small, large = candidate("8da4w", 80, 0.2), candidate("8da4w", 90, 0.3, algorithm="gptq")
    assert next_ones([small, large], [small], [measured(small, 0.2)], AutotuneRequest(model="m")) == []


def test_without_a_device_the_bytes_of_a_token_stand_for_speed() -> None:
    light, heavy, worse = (
        measured(Candidate(BASE, 80_000_000, 0.1, decode_bytes), loss)
        for decode_bytes, loss in ((60_000_000, 0.3), (70_000_000, 0.2), (70_000_000, 0.3))
    )
    assert pareto_front([light, heavy, worse], Measured.costs) == [heavy, light]
    timed = [
        dataclasses.replace(one, tokens_per_second=speed) for one, speed in ((light, 20.0), (heavy, 30.0))
    ]
    assert pareto_front(timed, Measured.costs) == timed[1:], (
        "what was measured counts, not what was estimated"
    )


def test_limits_and_picks() -> None:
    small = measured(candidate("8da4w", 80, 0.2), 0.2, 90.0)
    close = measured(candidate("8da8w", 90, 0.1), 0.1, 60.0)
    request = AutotuneRequest(model="m", max_mb=85, max_loss=0.3, min_speed=70)
    assert small.within(request) and not close.within(request)
    assert not measured(small.candidate, 0.2).within(request), "a speed that nobody measured keeps no limit"
    front = [small, close]
    assert picked(front, "best") is close and picked(front, "smallest") is small
    assert picked(front, "fastest") is small and picked(front, "2") is close
    for word in ("3", "0", "nicest"):
        with pytest.raises(UsageError, match="points 1 to 2"):
            picked(front, word)
    with pytest.raises(UsageError, match="within all limits"):
        picked([], "best")


def test_picks_that_no_front_could_answer_are_refused_before_the_search() -> None:
    for word in ("best", "smallest", "1", "12"):
        check_pick(word, with_speed=False)
    check_pick("fastest", with_speed=True)
    wrong = {"fastest": "measured speeds", "fastst": "none of best", "0": "none of", "": "none of"}
    for word, why in wrong.items():
        with pytest.raises(UsageError, match=why):
            check_pick(word, with_speed=False)
