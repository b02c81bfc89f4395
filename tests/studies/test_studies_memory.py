"""Memory against size, on made points whose answers are known."""

from __future__ import annotations

from made_points import point

from toolkit.studies.kinds.memory_overview import STATEMENTS, _own, _published

LINEAR, LARGE = STATEMENTS
SMALL = ("SmolLM-135M", "Pythia-160M", "SmolLM-360M", "Pythia-1.4B", "Phi-1", "SmolLM-1.7B", "Phi-2")


def verdicts(over: float) -> tuple[str, str]:
    """Of models on one line, and two with large vocabularies ``over`` times above it."""
    points = [point(name) for name in SMALL]
    points += [point(name) for name in ("BLOOM-560M", "Gemma-2B")]
    made = [
        point(
            one.model,
            peak_mb=(100 + one.artifact.unique_parameters / 1e6) * (1 if one.model in SMALL else over),
        )
        for one in points
    ]
    own = _own(made)
    return LINEAR.test(own, "here").verdict, LARGE.test(own, "here").verdict


def test_large_vocabularies_are_held_against_the_line_through_the_others() -> None:
    assert verdicts(1.4) == ("supported", "supported")
    assert verdicts(0.7) == ("supported", "contradicted")


def test_the_papers_own_numbers_show_what_it_says() -> None:
    found = LARGE.test(_published(), "published")
    assert found.verdict == "supported" and found.value is not None and found.value > 1.2


def test_a_model_whose_vocabulary_nobody_knows_is_in_no_test() -> None:
    found = LINEAR.test(_own([point("made-up", parameters=10**9, peak_mb=500)] * 9), "here")
    assert found.verdict == "not enough data" and "0 of the 6 models" in found.why
