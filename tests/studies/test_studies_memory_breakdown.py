"""Parts of the peak memory, on the survey's own numbers."""

from __future__ import annotations

import pytest

from toolkit.analysis.findings import Sample
from toolkit.models.catalogue.catalogue import shipped
from toolkit.store.measurements import VOCABULARY
from toolkit.studies.kinds.memory_breakdown import PARTS, STATEMENTS, STUDY, published_samples

(WEIGHTS,) = STATEMENTS


def test_its_parts_are_those_that_are_measured() -> None:
    assert {f"memory_{part}_bytes" for part in PARTS} == {
        name for name in VOCABULARY if name.startswith("memory_") and name.endswith("_bytes")
    }


def test_the_survey_s_models_are_taken_whole() -> None:
    assert len(published_samples()) == 22
    shares = {sample.name: sample.values["weights"] for sample in published_samples()}
    # 98.9 of 275.1 MiB in the figure.
    assert shares["SmolLM-135M"] == pytest.approx(0.36, abs=0.005)


def test_it_measures_the_22_models_that_the_figure_has() -> None:
    measured = {name.casefold() for name, entry in shipped().items() if STUDY.models in entry.groups}
    assert measured == {sample.name.casefold() for sample in published_samples()}
    # Two more than the overview; its text leaves them out of the latencies.
    assert {"qwen-1.8b", "stablelm-zephyr-3b"} < measured


@pytest.mark.parametrize(("share", "verdict"), [(0.7, "supported"), (0.2, "contradicted")])
def test_weights_are_held_against_the_peak(share: float, verdict: str) -> None:
    own = [Sample(name=f"m{n}", x=1.0, values={"weights": share + n / 100}) for n in range(6)]
    assert WEIGHTS.test(own, "here").verdict == verdict
