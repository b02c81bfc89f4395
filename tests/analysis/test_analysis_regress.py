from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from llama_bench_files import OF_2024, imported
from measured_runs import add_measured
from stored_runs import MANIFEST, stored_run

from toolkit.analysis.compare import compare
from toolkit.analysis.compared_figures import FIGURES, find_figure
from toolkit.analysis.lacking import Lacking
from toolkit.analysis.regress import Regression, regress
from toolkit.errors import ConditionsDiffer, RunNotFound, UsageError
from toolkit.store import Store
from toolkit.store.measurements import measurement
from toolkit.store.tags import tag_runs

DECODE = find_figure("decode")


def baseline(store: Store, *, decode: float = 100.0, runs: int = 3, **changes: object) -> None:
    for number in range(runs):
        name = f"base{number}-{changes.get('threads', 2)}"
        add_measured(store, name, decode=decode, created_unix_ns=number, **changes)  # type: ignore[arg-type]
        tag_runs(store, "v1", [name])


def candidate(store: Store, *, decode: float, runs: int = 3, **changes: object) -> None:
    for number in range(runs):
        version = {"runner_version": "0.2.0", "bundle_sha256": "c" * 64, **changes}
        name = f"new{number}-{changes.get('threads', 2)}"
        add_measured(store, name, decode=decode, created_unix_ns=1000 + number, **version)  # type: ignore[arg-type]


def outcomes(found: Regression) -> list[str]:
    return [check.outcome for check in found.checks]


@pytest.mark.parametrize(
    ("decode", "outcome"),
    [(80.0, "worse"), (94.5, "inconclusive"), (98.0, "same"), (100.0, "same"), (120.0, "better")],
)
def test_a_new_version_is_held_against_the_baseline(store: Store, decode: float, outcome: str) -> None:
    baseline(store)
    candidate(store, decode=decode)
    found = regress(store, [DECODE], "v1", limit=0.05)
    assert outcomes(found) == [outcome]
    assert found.checks[0].worse_by == pytest.approx(1 - decode / 100, abs=0.015)
    assert bool(found.regressions) == (outcome == "worse")
    assert found.unpaired == ()


def test_a_drop_within_the_noise_cannot_be_told(store: Store) -> None:
    for number, speed in enumerate((100, 112, 104, 93, 101)):
        add_measured(store, f"base{number}", decode=speed, spread=0.001, created_unix_ns=number)
        tag_runs(store, "v1", [f"base{number}"])
    candidate(store, decode=93, runs=1)
    found = regress(store, [DECODE], "v1", limit=0.05)
    assert outcomes(found) == ["inconclusive"] and found.inconclusive == found.checks
    assert found.checks[0].power is not None
    noise = found.checks[0].change.noise
    assert noise is not None and noise.relative > 0.07


def test_a_regression_under_the_very_same_conditions_does_not_pass_for_noise(store: Store) -> None:
    baseline(store)
    for number in range(3):
        add_measured(store, f"again{number}", decode=80, created_unix_ns=10 + number)
    assert outcomes(regress(store, [DECODE], "v1", limit=0.05)) == ["worse"]


@pytest.mark.parametrize("repeated", [{"threads": 1}, {}], ids=["others", "the baseline"])
@pytest.mark.parametrize("decode", [50.0, 94.0, 100.0, 150.0])
def test_equal_runs_that_came_out_equal_are_no_certainty(
    store: Store, decode: float, repeated: dict[str, int]
) -> None:
    for number in range(2):
        add_measured(
            store,
            f"tie{number}",
            decode=50 if repeated else 100,
            spread=0,
            created_unix_ns=number,
            **repeated,  # type: ignore[arg-type]
        )
        if not repeated:
            tag_runs(store, "v1", [f"tie{number}"])
    if repeated:
        baseline(store, runs=1)
    candidate(store, decode=decode, runs=1)
    [check] = regress(store, [DECODE], "v1", limit=0.05).checks
    assert (check.outcome, check.change.verdict, check.change.noise) == ("inconclusive", "inconclusive", None)
    assert check.power is not None
    assert "all 2 repeated runs came out equal" in (check.power.reason or "")
    # So many that equal ones count: 10 gaps of each side.
    assert (check.power.rounds, check.power.baseline_rounds) == (11, 11)


def test_the_limit_decides(store: Store) -> None:
    baseline(store)
    candidate(store, decode=90)
    assert outcomes(regress(store, [DECODE], "v1", limit=0.05)) == ["worse"]
    assert outcomes(regress(store, [DECODE], "v1", limit=0.15)) == ["same"]


def test_missing_partners_are_reported_with_what_differs(store: Store) -> None:
    baseline(store)
    baseline(store, threads=4)
    candidate(store, decode=100)
    candidate(store, decode=100, threads=8)
    found = regress(store, [DECODE], "v1", limit=0.05)
    assert outcomes(found) == ["same"]
    assert [(one.side, one.group.key.threads) for one in found.unpaired] == [
        ("baseline", 4),
        ("candidate", 8),
    ]
    assert [difference.part for difference in found.missing[0].differences] == ["threads"]


def test_the_newest_version_is_checked(store: Store) -> None:
    baseline(store)
    add_measured(store, "middle", decode=50, runner_version="0.1.5", created_unix_ns=500)
    candidate(store, decode=100)
    assert outcomes(regress(store, [DECODE], "v1", limit=0.05)) == ["same"]


def test_runs_to_check_may_be_chosen(store: Store) -> None:
    baseline(store)
    candidate(store, decode=80)
    with pytest.raises(RunNotFound, match="no run to check"):
        regress(store, [DECODE], "v1", limit=0.05, where="decode > 90")


def test_a_check_that_compares_nothing_does_not_pass(store: Store) -> None:
    with pytest.raises(RunNotFound, match="no run with this tag"):
        regress(store, [DECODE], "v1", limit=0.05)
    baseline(store)
    candidate(store, decode=100, threads=4)
    with pytest.raises(ConditionsDiffer, match="threads: 2 and 4"):
        regress(store, [DECODE], "v1", limit=0.05)
    assert outcomes(regress(store, [DECODE], "v1", limit=0.05, axes=["version", "threads"])) == ["same"]


def test_a_baseline_of_two_versions_is_refused(store: Store) -> None:
    baseline(store)
    add_measured(store, "stray", runner_version="0.0.9")
    tag_runs(store, "v1", ["stray"])
    candidate(store, decode=100)
    with pytest.raises(ConditionsDiffer, match="several versions; they differ in runner_version"):
        regress(store, [DECODE], "v1", limit=0.05)


@pytest.mark.parametrize("axis", ["device", "threads"])
def test_every_candidate_on_the_asked_axis_is_checked(store: Store, axis: str) -> None:
    older, newer = (
        ({"serial": "a"}, {"serial": "b"}) if axis == "device" else ({"threads": 4}, {"threads": 8})
    )
    baseline(store)
    for first, decode, changes in ((100, 50.0, older), (200, 100.0, newer)):
        for number in range(3):
            new = {"runner_version": "0.2.0", "bundle_sha256": "c" * 64, **changes}
            name, created = f"{decode}-{number}", first + number
            add_measured(store, name, decode=decode, created_unix_ns=created, **new)  # type: ignore[arg-type]
    # Of the older one a version in between, which is not the newest of its own.
    between = {"runner_version": "0.1.5", **older}
    add_measured(store, "between", decode=20, created_unix_ns=50, **between)  # type: ignore[arg-type]
    found = regress(store, [DECODE], "v1", limit=0.05, axes=["version", axis])
    assert outcomes(found) == ["worse", "same"] and found.unpaired == ()
    assert [check.candidate.runs[0].run_id for check in found.checks] == ["50.0-0", "100.0-0"]


def test_every_candidate_without_a_partner_is_listed(store: Store) -> None:
    baseline(store)
    candidate(store, decode=100)
    for threads in (4, 8):
        candidate(store, decode=100, threads=threads, context_length=4096)
    found = regress(store, [DECODE], "v1", limit=0.05, axes=["version", "threads"])
    assert outcomes(found) == ["same"]
    assert sorted(one.group.key.threads for one in found.unpaired) == [4, 8]


def test_a_figure_that_was_asked_for_and_the_baseline_lacks_is_told(store: Store) -> None:
    baseline(store)
    candidate(store, decode=100)
    joules = find_figure("decode_joules_per_token")
    found = regress(store, [DECODE, joules], "v1", limit=0.05)
    assert outcomes(found) == ["same"] and found.lacking == (Lacking(joules),)
    found = regress(store, [DECODE, joules], "v1", limit=0.05, may_lack=True)
    assert outcomes(found) == ["same"] and found.lacking == ()


def test_a_figure_that_some_conditions_of_the_baseline_lack_is_told_for_each(store: Store) -> None:
    joules = find_figure("decode_joules_per_token")
    for threads, joules_of in ((2, 0.05), (4, None), (8, None)):
        measured = () if joules_of is None else (measurement(joules.name, joules_of),)
        baseline(store, threads=threads, measurements=measured)
        # The candidate has it everywhere: that is no check of what the baseline lacks.
        candidate(store, decode=100, threads=threads, measurements=(measurement(joules.name, 0.05),))
    # Nothing is decoded here, so there is nothing to lack.
    prefill = stored_run(
        id="prefill", prompt_tokens=64, generate_tokens=1, decode_tokens_per_second=None, created_unix_ns=0
    )
    assert store.add_run(replace(prefill, repetitions=()), MANIFEST)
    tag_runs(store, "v1", ["prefill"])
    found = regress(store, [joules], "v1", limit=0.05)
    # All joules came out equal, which bounds no noise.
    assert outcomes(found) == ["inconclusive"]
    assert sorted(one.key.threads for one in found.lacking if one.key) == [4, 8]
    assert {one.figure for one in found.lacking} == {joules}
    assert regress(store, [joules], "v1", limit=0.05, axes=["version", "threads"]).lacking == ()
    assert regress(store, [joules], "v1", limit=0.05, may_lack=True).lacking == ()


@pytest.mark.parametrize("name", list(FIGURES))
def test_a_check_that_could_never_fail_is_refused(sqlite_store: Store, name: str) -> None:
    """A rate of nearly nothing is worse by 99.99 %; a time may be worse by any share."""
    figure = find_figure(name)
    if figure.higher_is_better:
        for limit in (1.0, 1.5):
            with pytest.raises(UsageError, match="cannot get worse by 1[05]0%"):
                regress(sqlite_store, [DECODE, figure], "v1", limit=limit)
    else:
        with pytest.raises(RunNotFound):
            regress(sqlite_store, [figure], "v1", limit=1.5)
    with pytest.raises(RunNotFound):
        regress(sqlite_store, [figure], "v1", limit=0.99)


@pytest.mark.parametrize(("name", "limit", "changed"), [("decode", 0.9, 1.0), ("ttft", 1.5, 300.0)])
def test_the_largest_limits_still_fail_in_each_direction(
    sqlite_store: Store, name: str, limit: float, changed: float
) -> None:
    for number in range(3):
        add_measured(sqlite_store, f"base{number}", created_unix_ns=number)
        tag_runs(sqlite_store, "v1", [f"base{number}"])
        slow = {"decode": changed} if name == "decode" else {"prefill_seconds": changed}
        version = {"runner_version": "0.2.0", "bundle_sha256": "c" * 64}
        add_measured(sqlite_store, f"new{number}", created_unix_ns=1000 + number, **slow, **version)
    assert outcomes(regress(sqlite_store, [find_figure(name)], "v1", limit=limit)) == ["worse"]


def test_llama_benchs_conditions_lack_nothing_that_it_cannot_time(
    sqlite_store: Store, tmp_path: Path
) -> None:
    baseline(sqlite_store)
    candidate(sqlite_store, decode=100)
    file = tmp_path / "bench.json"
    imported(sqlite_store, file, OF_2024, {**OF_2024, "n_gen": 8}, {**OF_2024, "n_prompt": 0, "n_gen": 8})
    tag_runs(
        sqlite_store, "v1", [run.run.id for run in sqlite_store.list_runs(where="device_kind = 'imported'")]
    )
    new = "runner_version = '0.2.0'"
    for name in ("load", "memory"):
        found = regress(sqlite_store, [find_figure(name)], "v1", limit=0.05, where=new)
        assert found.checks and found.lacking == (), name
    # What it times otherwise is not lacking either: each of its tests is of one phase.
    assert regress(sqlite_store, [DECODE], "v1", limit=0.05, where=new).lacking == ()
    joules = find_figure("decode_joules_per_token")
    assert regress(sqlite_store, [DECODE, joules], "v1", limit=0.05, where=new).lacking == (Lacking(joules),)


@pytest.mark.parametrize("decode", [50.0, 100.0])
def test_one_run_a_side_says_nothing_where_nothing_was_ever_repeated(store: Store, decode: float) -> None:
    baseline(store, runs=1)
    candidate(store, decode=decode, runs=1)
    [check] = regress(store, [DECODE], "v1", limit=0.05).checks
    assert check.outcome == "inconclusive" and check.power is not None and check.power.rounds == 2


def test_two_single_numbers_say_nothing(store: Store) -> None:
    baseline(store, runs=1, peak_bytes=100)
    candidate(store, decode=100, runs=1, peak_bytes=200)
    [check] = regress(store, [find_figure("memory")], "v1", limit=0.05).checks
    assert check.outcome == "inconclusive"
    assert check.power is not None and (check.power.rounds, check.power.baseline_rounds) == (2, 2)
    assert "nothing was repeated" in (check.power.reason or "")


def test_repetitions_that_came_out_equal_are_not_called_none(store: Store) -> None:
    memory = find_figure("memory")
    baseline(store, runs=3, peak_bytes=100)
    candidate(store, decode=100, runs=3, peak_bytes=100)
    [check] = regress(store, [memory], "v1", limit=0.05).checks
    assert check.outcome == "inconclusive" and check.power is not None
    assert "all 6 repeated runs came out equal" in (check.power.reason or "")
    # What is advised is done, and tells.
    assert (check.power.rounds, check.power.baseline_rounds) == (11, 11)
    baseline(store, runs=11, threads=8, peak_bytes=100)
    candidate(store, decode=100, runs=11, threads=8, peak_bytes=100)
    found = regress(store, [memory], "v1", limit=0.05, where="threads = 8")
    assert outcomes(found) == ["same"]


def test_the_worst_comes_first(store: Store) -> None:
    for threads, decode in ((1, 100.0), (2, 60.0), (3, 94.5), (4, 80.0)):
        baseline(store, threads=threads)
        candidate(store, decode=decode, threads=threads)
    found = regress(store, [DECODE], "v1", limit=0.05)
    assert outcomes(found) == ["worse", "worse", "inconclusive", "same"]
    assert [check.candidate.key.threads for check in found.checks] == [2, 4, 3, 1]


@pytest.mark.parametrize(
    "changes",
    [
        {"threads": 4},
        {"threads": 4, "affinity": (3,), "power_source": "usb", "gate": "strict"},
        {"settings": {"flash_attn": True, "type_k": "q8_0"}, "prefill_chunk": 128},
        {"serial": "other", "context_length": 4096},
    ],
)
def test_the_advice_is_followed_once_and_then_something_is_compared(
    store: Store, changes: dict[str, object]
) -> None:
    baseline(store, settings={"flash_attn": False})
    add_measured(store, "far", decode=80, emulated=False, serial="real", created_unix_ns=900)
    for number in range(3):
        new = {"settings": {"flash_attn": False}, "runner_version": "2", **changes}
        add_measured(store, f"new{number}", decode=80, created_unix_ns=1000 + number, **new)  # type: ignore[arg-type]
    with pytest.raises(ConditionsDiffer) as refused:
        regress(store, [DECODE], "v1", limit=0.05)
    axes = re.findall(r"--axis (\w+)", refused.value.next_step or "")
    assert axes[0] == "version" and outcomes(regress(store, [DECODE], "v1", limit=0.05, axes=axes)) == [
        "worse"
    ]
    with pytest.raises(ConditionsDiffer) as unranked:
        compare(store, DECODE, ["version"], run_ids=["base0-2", "new0"])
    asked = re.findall(r"--axis (\w+)", unranked.value.next_step or "")
    assert compare(store, DECODE, ["version", *asked], run_ids=["base0-2", "new0"]).rankings


def throttled(store: Store, *, runs: int = 2, **changes: object) -> None:
    for number in range(runs):
        version = {"runner_version": "0.2.0", "bundle_sha256": "c" * 64, **changes}
        name = f"hot{number}-{changes.get('threads', 2)}"
        add_measured(store, name, status="throttled", created_unix_ns=2000 + number, **version)  # type: ignore[arg-type]


def test_what_only_throttled_runs_measured_again_is_inconclusive(store: Store) -> None:
    baseline(store)
    baseline(store, threads=4)
    candidate(store, decode=100)
    throttled(store, threads=4)
    throttled(store, threads=8)
    found = regress(store, [DECODE], "v1", limit=0.05)
    assert outcomes(found) == ["same"]
    [untold] = found.untold
    assert untold.group.key.threads == 4 and [one.run_id for one in untold.left_out] == ["hot1-4", "hot0-4"]
    assert [one.status for one in found.left_out] == ["throttled"] * 4


def test_a_check_of_runs_that_are_not_ok_says_how_many_there_are_and_why(store: Store) -> None:
    baseline(store)
    throttled(store)
    add_measured(store, "gone", status="device_lost", created_unix_ns=3000)
    with pytest.raises(RunNotFound, match="3 runs were left out: 2 throttled, 1 device_lost") as refused:
        regress(store, [DECODE], "v1", limit=0.05)
    assert "slm results show gone" in (refused.value.next_step or "")
    candidate(store, decode=100, threads=4)
    with pytest.raises(ConditionsDiffer, match="threads: 2 and 4; 3 runs were left out: 2 throttled"):
        regress(store, [DECODE], "v1", limit=0.05)


def test_a_baseline_whose_runs_are_not_ok_says_so(store: Store) -> None:
    add_measured(store, "hot", status="throttled")
    tag_runs(store, "v1", ["hot"])
    candidate(store, decode=100)
    with pytest.raises(RunNotFound, match="no run with this tag is ok.*; 1 run was left out: 1 throttled"):
        regress(store, [DECODE], "v1", limit=0.05)
