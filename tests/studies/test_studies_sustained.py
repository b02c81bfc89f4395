"""Decoding over time: what is read out of a run, and when it has slowed down."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from made_points import point
from sample_runs import PHONE, SCHEMES, artifact, run_of

from toolkit.analysis.findings import Sample
from toolkit.errors import UsageError
from toolkit.store.rows import Condition, Repetition
from toolkit.studies.kinds.sustained import (
    _FALLS,
    Decoding,
    duration,
    lasted,
    length_seconds,
    stretches,
    tokens_per_percent,
)
from toolkit.studies.request import StudyRequest
from toolkit.studies.study import STUDIES, Subject


def long_run(step_ms: list[float], battery: list[int | None]) -> Any:
    """Repetitions of 100 steps, one each 30 s, with readings after each."""
    made = run_of(artifact("m", 10**8, SCHEMES[0], "onnxruntime"), PHONE, number=1, decode=10)
    repetitions = tuple(
        Repetition(
            index=index,
            warmup=False,
            started_unix_ns=index * 30_000_000_000,
            prefill_ns=1_000_000_000,
            decode_ns=(int(ms * 1e6),) * 100,
        )
        for index, ms in enumerate(step_ms)
    )
    conditions = tuple(
        Condition(
            moment="after",
            repetition=index,
            unix_ns=1,
            hottest_cpu_celsius=30.0 + index,
            cpu_frequencies_khz=(1_800_000, None, 2_400_000 - 100_000 * index),
            battery_percent=percent,
        )
        for index, percent in enumerate(battery)
    )
    return replace(made, repetitions=repetitions, conditions=conditions)


def test_each_repetition_has_its_time_its_rate_and_its_readings() -> None:
    found = stretches(long_run([10.0, 20.0], [90, 89]))
    assert [one.rate for one in found] == pytest.approx([100.0, 50.0])
    # 1 s of prefill and half of 1 s, then 30 s later 1 s and half of 2 s.
    assert [one.minutes * 60 for one in found] == pytest.approx([1.5, 32.0])
    assert [one.celsius for one in found] == [30.0, 31.0]
    assert [one.mhz for one in found] == [2400.0, 2300.0]
    assert tokens_per_percent(found) == 200


def test_what_the_device_does_not_tell_is_not_zero() -> None:
    run = long_run([10.0, 10.0], [None, None])
    assert tokens_per_percent(stretches(run)) is None
    assert tokens_per_percent(stretches(long_run([10.0, 10.0], [90, 90]))) is None
    bare = stretches(replace(run, conditions=()))
    assert [(one.celsius, one.mhz, one.battery_percent) for one in bare] == [(None, None, None)] * 2


@pytest.mark.parametrize(
    ("last", "verdict"), [(20.0, "supported"), (10.0, "contradicted"), (10.6, "not enough data")]
)
def test_a_run_that_slows_down_is_told_from_one_that_does_not(last: float, verdict: str) -> None:
    steps = [10.0] * 20 + [10.0] * 20 + ([last] * 20 if last != 10.6 else [10.0, 11.3] * 10)
    own = [
        Sample(name=str(one.minutes), x=one.minutes, values={"rate": one.rate})
        for one in stretches(long_run(steps, [90] * 60))
    ]
    assert _FALLS.test(own, "here").verdict == verdict
    assert _FALLS.test(own[:5], "here").verdict == "not enough data"


def decoding(seconds: float, asked_seconds: float) -> Decoding:
    return Decoding(point("SmolLM-135M"), "SmolLM-135M ort", (), seconds, asked_seconds)


def test_a_run_lasts_from_its_first_repetition_to_the_end_of_its_last() -> None:
    # The second begins at 30 s: 1 s of prefill, 100 steps of 20 ms.
    assert length_seconds(long_run([10.0, 20.0], [90, 89])) == pytest.approx(33.0)
    assert length_seconds(replace(long_run([10.0], [90]), repetitions=())) == 0


def test_titles_say_how_long_runs_lasted_and_which_fell_short() -> None:
    assert [duration(one) for one in (1.4, 59.9, 60.0, 601.0)] == ["1.4 s", "59.9 s", "1 min", "10 min"]
    assert lasted([decoding(601, 600), decoding(602, 600)]) == "10 min"
    assert lasted([decoding(1.4, 600), decoding(602, 600)]) == "1.4 s to 10 min"
    assert decoding(600.1, 600).title == "SmolLM-135M ort"
    assert decoding(1.4, 600).title == "SmolLM-135M ort (only 1.4 s of 10 min)"


def test_every_model_repeats_for_the_time_asked() -> None:
    study = STUDIES.get("sustained")
    subjects = [Subject("random:SmolLM-135M"), Subject("random:SmolLM-1.7B")]
    for request, seconds in ((StudyRequest.of(), 600), (StudyRequest.of(minutes=0.5, repetitions=2), 30)):
        profile = study.template(study.filled(request), subjects)["profile"]
        assert profile["repeat_s"] == seconds and profile["gate"] == "watch"
    with pytest.raises(UsageError, match="--minutes means nothing here") as caught:
        STUDIES.get("energy").filled(StudyRequest.of(minutes=1))
    assert "it is for sustained." in str(caught.value.next_step)
