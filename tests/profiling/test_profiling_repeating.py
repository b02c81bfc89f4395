"""Repetitions until a time has passed."""

from __future__ import annotations

import pytest
from described_runs import OPTIONS, as_text, description, result_records

from toolkit.artifact import Artifact
from toolkit.devices.local import LocalDevice
from toolkit.errors import ResultInvalid
from toolkit.export.request import ConvertRequest
from toolkit.profiling.request import ProfileRequest
from toolkit.profiling.run_rows import stored_run
from toolkit.profiling.session.ending import Ending
from toolkit.profiling.session.preflight import run_timeout_s
from toolkit.profiling.session.result_check import checked_result
from toolkit.profiling.session.session import Session, profile
from toolkit.recipes.step_estimates import ModelSize, profile_estimate


def test_a_run_goes_on_for_as_long_as_it_is_asked(
    local: LocalDevice, artifact: Artifact, session: Session
) -> None:
    asked = ProfileRequest.of(
        prompt_tokens=8, generate_tokens=4, repetitions=2, repeat_s=1, warmup=1, gate="off", threads=1
    )
    stored = profile(local, artifact, asked, session)
    measured = [one for one in stored.repetitions if not one.warmup]
    assert stored.run.status == "ok" and stored.run.repetitions == len(measured) > 2
    assert stored.run.settings == {"repeat_s": 1}
    last = measured[-1]
    ended_ns = last.started_unix_ns + (last.prefill_ns or 0) + sum(last.decode_ns)
    assert 0.99 <= (ended_ns - measured[0].started_unix_ns) / 1e9 < 5
    assert session.store.get_run(stored.run.id).run.repetitions == len(measured)


def test_more_repetitions_than_the_least_count_only_where_a_time_was_asked(artifact: Artifact) -> None:
    options = OPTIONS.model_copy(update={"repetitions": 4})
    five = result_records(description(artifact, options=options))
    run = description(artifact, options=OPTIONS.model_copy(update={"repeat_s": 10}))
    # Two at least, and there are four.
    five[0] |= {"repetitions": 2, "repeat_s": 10}
    result = checked_result(as_text(five), run)
    assert len(result.measured) == 4
    assert stored_run(run, Ending("ok", 0, result=result), []).run.repetitions == 4
    five[0] |= {"repeat_s": 0}
    with pytest.raises(ResultInvalid, match=r"5 repetitions, 1 warm-ups \+ 2 asked for"):
        checked_result(as_text(five), description(artifact))
    fewer = result_records(description(artifact, options=OPTIONS.model_copy(update={"repetitions": 1})))
    fewer[0] |= {"repetitions": 2, "repeat_s": 10}
    with pytest.raises(ResultInvalid, match="2 or more asked for"):
        checked_result(as_text(fewer), run)


def test_a_time_that_another_run_was_asked_for_is_no_answer(artifact: Artifact) -> None:
    records = result_records(description(artifact))
    records[0]["repeat_s"] = 5
    with pytest.raises(ResultInvalid, match="repeat_s is 5, 0 was asked for"):
        checked_result(as_text(records), description(artifact))
    records[0] |= {"repeat_s": 0, "reserve": "context"}
    with pytest.raises(ResultInvalid, match="reserve is context, run was asked for"):
        checked_result(as_text(records), description(artifact))


def test_what_waits_for_a_run_waits_for_its_time() -> None:
    plain, long = ProfileRequest.of(), ProfileRequest.of(repeat_s=600)
    assert run_timeout_s(10**6, long) - run_timeout_s(10**6, plain) == 600
    size, conversion = ModelSize.of({}), ConvertRequest.of(model="random:llama-tiny")
    plain_s, long_s = (profile_estimate(size, conversion, one).seconds for one in (plain, long))
    assert 600 < long_s < 600 + plain_s
