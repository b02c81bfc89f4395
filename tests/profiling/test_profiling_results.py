"""Result files: a whole one is read as it is, anything else is refused, never half believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from described_runs import RUN_ID, as_text, description, result_records
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolkit.artifact import Artifact
from toolkit.devices.base import DeviceInfo, Readings
from toolkit.errors import DeviceLost, ResultInvalid, UsageError
from toolkit.profiling.description import parse_description
from toolkit.profiling.gate.moments import Moment
from toolkit.profiling.request import ProfileRequest
from toolkit.profiling.run_rows import device_row, stored_run
from toolkit.profiling.session.ending import (
    Ending,
    ending_of_device_error,
    ending_of_exit_code,
    ending_of_result,
)
from toolkit.profiling.session.preflight import check_cpus, check_threads
from toolkit.profiling.session.result_check import checked_result
from toolkit.store.export import as_json_data

MOMENTS = (
    Moment("before", None, Readings(unix_ns=1, power_source="usb")),
    Moment("after", None, Readings(unix_ns=2, power_source="usb")),
)
Change = Callable[[list[dict[str, Any]]], None]


def test_a_good_result_is_measured(artifact: Artifact) -> None:
    run = description(artifact)
    result = checked_result(as_text(result_records(run)), run)
    ending = ending_of_result(result, run.manifest.greedy_reference, serial="phone-1")
    stored = stored_run(run, ending, MOMENTS)
    assert (ending.status, ending.greedy_matched, ending.greedy_total) == ("ok", 12, 12)
    # Repetitions 1 and 2 count: 8 tokens in 2 ms and 3 ms, 2 steps in 2 ms each.
    assert stored.run.prefill_tokens_per_second == pytest.approx((4000 + 8000 / 3) / 2)
    assert stored.run.decode_tokens_per_second == pytest.approx(1000)
    assert stored.run.decode_stdev == 0
    assert stored.run.ttft_ns == 2_500_000
    assert stored.run.prefill_chunk == 512, "what the runner did, not what it was asked"
    assert (stored.run.gate, stored.run.power_source) == ("default", "usb")
    assert json.dumps(as_json_data(stored))


def test_memory_that_the_device_does_not_tell_is_unknown(artifact: Artifact) -> None:
    run = description(artifact)
    unknown = ("vm_hwm_bytes", "max_rss_swap_bytes", "max_swap_bytes", "after_load_bytes")
    records = [
        {name: value for name, value in record.items() if name not in unknown}
        for record in result_records(run)
    ]
    ending = ending_of_result(
        checked_result(as_text(records), run), run.manifest.greedy_reference, serial="phone-1"
    )
    stored = stored_run(run, ending, MOMENTS).run
    assert stored.peak_bytes == 1000
    assert stored.vm_hwm_bytes is None and stored.after_load_bytes is None


def test_cut_at_every_line(artifact: Artifact) -> None:
    run = description(artifact)
    records = result_records(run)
    for length in range(len(records)):
        with pytest.raises(ResultInvalid):
            checked_result(as_text(records[:length]), run)


@given(data=st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_cut_at_any_byte(artifact: Artifact, data: st.DataObject) -> None:
    run = description(artifact)
    text = as_text(result_records(run))
    # Without its last newline the file is still whole.
    cut = data.draw(st.integers(0, len(text) - 2))
    with pytest.raises(ResultInvalid):
        checked_result(text[:cut], run)


@given(junk=st.text(min_size=1).filter(lambda text: text.strip() != ""), place=st.integers(0, 7))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_garbage_between_the_lines(artifact: Artifact, junk: str, place: int) -> None:
    run = description(artifact)
    lines = as_text(result_records(run)).splitlines()
    lines.insert(place, junk)
    with pytest.raises(ResultInvalid):
        checked_result("\n".join(lines), run)


@given(data=st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_flipped_byte_is_refused_or_harmless(artifact: Artifact, data: st.DataObject) -> None:
    run = description(artifact)
    raw = bytearray(as_text(result_records(run)).encode())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        result = checked_result(bytes(raw).decode(errors="replace"), run)
    except ResultInvalid:
        return
    # A digit became another digit: what must be right by construction still is.
    assert [len(repetition.decode_ns) for repetition in result.repetitions] == [2, 2, 2]
    assert result.start.prompt_tokens == 8


def _swap(rows: list[dict[str, Any]], kind: str, /, **fields: Any) -> None:
    next(row for row in rows if row["record"] == kind).update(fields)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r[3].update(run_id="another"), "belongs to run 'another'"),
        (lambda r: _swap(r, "start", prompt_tokens=9), "prompt_tokens is 9, 8 was asked for"),
        (lambda r: _swap(r, "start", repetitions=1, warmup=2), "3 repetitions|warmup is 2"),
        (lambda r: _swap(r, "repetition", prefill_ns=0), "not positive"),
        (lambda r: _swap(r, "repetition", decode_ns=[5, -1]), "not positive"),
        (lambda r: _swap(r, "repetition", decode_ns=[5]), "1 decode steps"),
        (lambda r: _swap(r, "memory", peak_bytes=0), "peak memory"),
        (lambda r: _swap(r, "end", records=3), "counts 3 records"),
        (lambda r: (r.pop(1), _swap(r, "end", records=5)), "no greedy record"),
        (lambda r: _swap(r, "start", schema="slm-result/9"), "line 1"),
    ],
)
def test_a_result_that_does_not_answer_the_question(artifact: Artifact, change: Change, said: str) -> None:
    run = description(artifact)
    records = result_records(run)
    change(records)
    with pytest.raises(ResultInvalid, match=said) as caught:
        checked_result(as_text(records), run)
    assert caught.value.subject == "device phone-1"


@pytest.mark.parametrize(
    ("matched", "status"), [(0, "token_mismatch"), (5, "token_mismatch"), (6, "ok"), (11, "ok"), (12, "ok")]
)
def test_agreement_with_the_host_below_half_makes_a_mismatch(
    artifact: Artifact, matched: int, status: str
) -> None:
    run = description(artifact)
    records = result_records(run)
    tokens = list(records[1]["token_ids"])
    tokens[matched:] = [token + 1 for token in tokens[matched:]]
    records[1]["token_ids"] = tokens
    result = checked_result(as_text(records), run)
    ending = ending_of_result(result, run.manifest.greedy_reference, serial="phone-1")
    assert (ending.status, ending.greedy_matched) == (status, matched)
    stored = stored_run(run, ending, ())
    assert (stored.run.decode_tokens_per_second is None) == (status != "ok")
    assert len(stored.repetitions) == 3, "the samples are kept as evidence"


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        (137, "oom_killed", "low-memory killer"),
        (139, "error", "signal 11"),
        (4, "error", "could not load the model"),
        (8, "error", "free space"),
        (127, "error", "not found"),
        (99, "error", "exit code 99"),
    ],
)
def test_exit_codes_become_reasons(code: int, status: str, said: str) -> None:
    ending = ending_of_exit_code(code, "first\nlast words\n", serial="phone-1")
    assert ending.status == status
    text = str(ending.error)
    assert said in text and text.startswith("device phone-1: ") and "last words" in text and "next:" in text


@pytest.mark.parametrize(
    ("code", "last_words", "said"),
    [
        (2, "slm-runner-ort: error: --affinity: CPU 9 is offline or not allowed", "--affinity"),
        (9, "slm-runner-ort: error: --affinity: there is no CPU 4000", "--affinity"),
        (2, "slm-runner-et: error: ExecuTorch cannot start 900 threads", "--threads"),
        (10, "slm-runner-et: error: --threads: 900 threads", "--threads"),
        (2, "slm-runner-ort: error: kernels 'own:avx9': own, engine, or own:SET is meant", "--kernels"),
        (11, "slm-runner-ort: error: this CPU cannot run own:avx512vnni", "--kernels"),
        (2, "slm-runner-ort: error: unknown flag '--new'", "slm runtime build"),
        (2, "", "slm runtime build"),
        (3, "slm-runner-ort: error: the engine library cannot be opened: x", "slm runtime build"),
        # The app has a runner and engines of its own.
        (3, "slm-app: error: the engine's library cannot be loaded: no slm_et", "slm app info"),
        (3, "slm-app-ort: error: the engine library cannot be opened: x", "slm app info"),
        (2, "slm-app-ort: error: unknown flag '--new'", "slm app install"),
        (4, "slm-app-ort: error: no model", "Push it again"),
    ],
)
def test_one_exit_code_for_several_faults_is_told_apart(code: int, last_words: str, said: str) -> None:
    error = ending_of_exit_code(code, f"{last_words}\n", serial="phone-1").error
    assert error is not None and said in (error.next_step or "")


INFO = DeviceInfo(serial="phone-1", kind="adb", state="device", cpu_cores=4)


@pytest.mark.parametrize(
    ("affinity", "online", "said"),
    [
        ("0,7", None, "no CPU 7"),
        ("2-3", (0, 1, 2), "CPU 3 off line"),
        ("1,3,5", (0, 1), "no CPU 5, CPU 3 off"),
    ],
)
def test_cpus_that_are_not_there_are_refused_before_anything_is_sent(
    affinity: str, online: tuple[int, ...] | None, said: str
) -> None:
    options = ProfileRequest(affinity=affinity)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=said):
        check_cpus(options, INFO, online)


def test_cpus_that_nobody_knows_of_are_left_to_the_runner() -> None:
    options = ProfileRequest(affinity="0,7")  # type: ignore[arg-type]
    check_cpus(options, replace(INFO, cpu_cores=None), None)
    check_cpus(options, replace(INFO, cpu_cores=8), (0, 7))


def test_more_threads_than_cpus_are_refused_before_the_push() -> None:
    with pytest.raises(UsageError, match="--threads 9: there are 8 CPUs") as caught:
        check_threads(9, replace(INFO, cpu_cores=8))
    assert caught.value.next_step == "Pass --threads 8 or less."
    check_threads(8, replace(INFO, cpu_cores=8))
    check_threads(900, replace(INFO, cpu_cores=None))


def test_a_failed_run_has_no_figures(artifact: Artifact) -> None:
    ending = ending_of_device_error(DeviceLost("gone", serial="phone-1"))
    stored = stored_run(description(artifact), ending, ())
    assert stored.run.status == "device_lost" and stored.run.error == "device phone-1: gone"
    assert stored.repetitions == () and stored.run.peak_bytes is None and stored.run.load_ns is None


def test_the_description_survives_the_device(artifact: Artifact) -> None:
    run = description(artifact)
    assert parse_description(run.to_json(), subject="phone-1") == run


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "slm-run/2"}'])
def test_a_broken_description_is_refused(text: str) -> None:
    with pytest.raises(ResultInvalid, match=r"run\.json"):
        parse_description(text, subject="phone-1")


def test_a_description_cannot_lead_out_of_the_raw_folder(artifact: Artifact) -> None:
    text = description(artifact).to_json().replace(RUN_ID, "../../etc/passwd")
    with pytest.raises(ResultInvalid):
        parse_description(text, subject="phone-1")


def test_an_updated_phone_is_another_device(artifact: Artifact) -> None:
    info = description(artifact).device
    assert device_row(info).key == device_row(replace(info, free_bytes=5, ram_bytes=7)).key
    assert device_row(info).key != device_row(replace(info, build="next")).key
    assert device_row(info).key != device_row(replace(info, emulated=False)).key


def test_the_status_is_never_ok_with_an_error(artifact: Artifact) -> None:
    assert stored_run(description(artifact), Ending("ok", 0), ()).run.error is None
