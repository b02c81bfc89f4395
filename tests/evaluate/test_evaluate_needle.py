"""Facts are hidden where they should be, and found by who can find them."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit
from toolkit.artifact import Artifact
from toolkit.errors import ContextTooShort, UsageError
from toolkit.evaluate.needle.haystack import FACTS, KINDS, Kind, hide, prompts, text
from toolkit.evaluate.needle.needle_scores import NeedleScore, heat_map, means_of, middle_of
from toolkit.settings import Settings
from toolkit.store import open_store
from toolkit.store.evaluations import evaluations_of


def bytes_of(words: str) -> list[int]:
    return list(words.encode())


@given(st.sampled_from(KINDS), st.integers(0, 99), st.integers(400, 3000), st.sampled_from([0, 0.3, 0.5, 1]))
def test_a_prompt_is_as_long_as_asked_for_and_holds_its_facts(
    kind: Kind, seed: int, length: int, depth: float
) -> None:
    hidden = hide(kind, seed)
    assert hidden == hide(kind, seed)
    haystack = bytes_of(text())[:700]
    found = prompts(hidden, haystack, bytes_of, [0], length, depth)
    assert len(found) == len(hidden.questions) == (FACTS if kind == "several" else 1)
    for ids, question in zip(found, hidden.questions, strict=True):
        assert len(ids) == length and ids[0] == 0
        said = bytes(ids[1:]).decode(errors="replace")
        assert said.endswith(question.prompt)
        places = [said.index(fact) for fact in hidden.facts]
        assert places == sorted(places)
        room = length - len(question.prompt) - sum(len(fact) + 1 for fact in hidden.facts) - 3
        assert places[0] == pytest.approx(depth * room, abs=3)
        assert any(question.answer in fact for fact in hidden.facts)


def test_reasoning_needs_every_fact() -> None:
    hidden = hide("reasoning", 3)
    [question] = hidden.questions
    name = question.prompt.removesuffix(" is").split()[-1]
    [own] = [fact for fact in hidden.facts if fact.startswith(f"The secret number of {name} ")]
    assert question.answer not in own, "the number stands in another fact"
    assert sum("is the same as" in fact for fact in hidden.facts) == FACTS - 1


def test_texts_too_short_for_the_facts_are_refused() -> None:
    with pytest.raises(ValueError, match="do not hold"):
        prompts(hide("several", 1), [1], bytes_of, [], 60, 0.5)


def test_the_middle_and_the_heat_map() -> None:
    scores = [
        NeedleScore(kind="single", length=length, depth=depth, value=value, n=4)
        for length, depth, value in [(128, 0, 1), (128, 0.5, 0.25), (256, 0, 0.5), (256, 0.5, 0)]
    ]
    assert means_of(scores) == {"single": 0.4375}
    assert middle_of(scores) == (0.125, 0.75)
    assert middle_of(scores[::2]) == (None, 0.75)
    assert heat_map(scores, "single").splitlines() == [
        "depth      128     256",
        "   0%  ██ 100% ▒▒  50%",
        "  50%  ░░  25%      0%",
    ]


def evaluate(target: Any, settings: Settings, **options: Any) -> Any:
    return toolkit.evaluate_needle(target, settings=settings, **options)


def test_an_artifact_finds_what_its_source_finds(onnx: Artifact, original: Path, settings: Settings) -> None:
    small: dict[str, Any] = {"lengths": "240,256", "depths": "0,100", "trials": 1}
    found = evaluate(onnx, settings, **small)
    assert {(one.kind, one.length, one.depth) for one in found.scores} == {
        (kind, length, depth) for kind in KINDS for length in (240, 256) for depth in (0, 1)
    }
    assert found.mean == pytest.approx(sum(found.means.values()) / 3)
    assert found.versions == {name: version(name) for name in ("onnxruntime", "tokenizers")}
    with open_store(settings.store_url) as store:
        kept = [one.evaluation for one in evaluations_of(store, "needle:single")]
    assert [one.versions for one in kept if one.name == onnx.name] == [found.versions]
    assert found.scores == evaluate(original, settings, **small).scores


def test_lengths_and_depths_that_cannot_be_are_refused(onnx: Artifact, settings: Settings) -> None:
    for options, kind, words in [
        ({"lengths": "512"}, ContextTooShort, "context length is 256"),
        ({"lengths": "60"}, ContextTooShort, "do not hold the facts"),
        ({"lengths": "a"}, UsageError, "no list of numbers"),
        ({"lengths": "128,inf"}, UsageError, "no list of numbers"),
        ({"lengths": "nan"}, UsageError, "no list of numbers"),
        ({"lengths": "128.5"}, UsageError, "128.5 is no number of tokens"),
        ({"depths": "0,nan"}, UsageError, "no list of numbers"),
        ({"depths": "120"}, UsageError, "percents"),
    ]:
        with pytest.raises(kind, match=words):
            evaluate(onnx, settings, **options)
