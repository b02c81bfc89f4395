from __future__ import annotations

import random
from dataclasses import fields, replace
from typing import Any

import pytest
from measured_runs import add_measured
from stored_runs import MANIFEST

from toolkit.analysis.compare import compare, exceeds
from toolkit.analysis.compared_figures import find_figure
from toolkit.analysis.condition_key import AXES, PARTS, ConditionKey, axis_parts
from toolkit.analysis.groups import RunSamples, load_groups
from toolkit.analysis.noise import NoiseFloors, load_noise
from toolkit.cli.results.comparison_table import print_comparison
from toolkit.errors import BadFilter, ConditionsDiffer, UsageError
from toolkit.store import Store

DECODE = find_figure("decode")
EXECUTORCH = {"sha256": "e" * 64, "backend": "executorch"}


@pytest.fixture
def two_backends(store: Store) -> Store:
    for number in range(4):
        add_measured(store, f"ort{number}", decode=100 + number)
        add_measured(store, f"et{number}", decode=80 + number, engine="executorch", artifact=EXECUTORCH)
    return store


def test_a_group_is_all_runs_of_the_same_conditions(two_backends: Store) -> None:
    groups = {group.key.backend: group for group in load_groups(two_backends, DECODE)}
    assert {name: len(group.runs) for name, group in groups.items()} == {"onnxruntime": 4, "executorch": 4}
    ort = groups["onnxruntime"]
    assert 98 < ort.interval.low <= ort.median <= ort.interval.high < 106, "the warm-up does not count"
    assert len(ort.values) == 20
    assert load_groups(two_backends, DECODE)[0].interval == load_groups(two_backends, DECODE)[0].interval


def test_only_ok_runs_are_compared(store: Store) -> None:
    add_measured(store, "good")
    add_measured(store, "bad", status="throttled")
    assert [run.run_id for group in load_groups(store, DECODE) for run in group.runs] == ["good"]


def test_a_run_that_is_named_and_cannot_be_compared_is_not_left_out_silently(store: Store) -> None:
    add_measured(store, "good")
    add_measured(store, "bad", status="throttled")
    add_measured(store, "slow", decode=5)
    with pytest.raises(UsageError, match="(?s)bad.*throttled, not ok.*Leave it out"):
        compare(store, DECODE, ["version"], run_ids=["good", "bad"])
    with pytest.raises(UsageError, match="slow.*the filter leaves it out"):
        load_groups(store, DECODE, where="decode > 50", run_ids=["good", "slow"])


def test_backends_are_ranked_with_what_else_differs(two_backends: Store) -> None:
    comparison = compare(two_backends, DECODE, ["backend"])
    [ranking] = comparison.rankings
    assert [place.label for place in ranking.places] == ["onnxruntime", "executorch"]
    assert ranking.varying == ("backend", "engine", "artifact_sha256") and comparison.unranked == ()
    best, other = ranking.places
    assert best.change is None and other.change is not None
    assert other.change.verdict == "worse" and other.change.cliffs_delta == -1
    assert -0.25 < other.change.interval.low <= other.change.relative <= other.change.interval.high < -0.15
    assert other.change.noise is not None and other.change.noise.scope == "conditions"
    assert other.change.noise.pairs == 12


def test_less_is_better_for_time(two_backends: Store) -> None:
    other = {"backend": "x", "sha256": "x"}
    add_measured(two_backends, "slow", prefill_seconds=2, engine="llama.cpp", artifact=other)
    [ranking] = compare(two_backends, find_figure("ttft"), ["backend"]).rankings
    last = ranking.places[-1]
    assert (last.label, last.change and last.change.verdict) == ("x", "worse")


def test_a_change_within_the_noise_is_neither_one_nor_none(store: Store) -> None:
    # Repetitions agree to 0.1 %, runs to 10 % only: intervals of single runs would call 5 % certain.
    for number, speed in enumerate((100, 110, 104, 95, 101)):
        add_measured(store, f"a{number}", decode=speed, spread=0.001)
    add_measured(store, "b", decode=96, spread=0.001, threads=4)
    [ranking] = compare(store, DECODE, ["threads"]).rankings
    change = ranking.places[1].change
    assert change is not None and change.noise is not None
    assert change.noise.relative > 0.08 and change.verdict == "inconclusive"


@pytest.mark.parametrize(("speed", "verdict"), [(100.01, "no difference"), (97, "worse"), (80, "worse")])
def test_no_difference_is_a_claim_that_needs_its_interval(store: Store, speed: float, verdict: str) -> None:
    for number in range(5):
        add_measured(store, f"a{number}", decode=100 + number / 100, spread=0.001)
        add_measured(store, f"b{number}", decode=speed + number / 100, spread=0.001, threads=4)
    [ranking] = compare(store, DECODE, ["threads"]).rankings
    assert {place.change.verdict for place in ranking.places if place.change} == {verdict}


def test_wide_intervals_never_say_no_difference(store: Store) -> None:
    add_measured(store, "a", decode=100, spread=0.3)
    add_measured(store, "b", decode=101, spread=0.3, threads=4)
    [ranking] = compare(store, DECODE, ["threads"]).rankings
    assert {place.change.verdict for place in ranking.places if place.change} == {"inconclusive"}


@pytest.mark.parametrize("speed", [100.0, 101.0, 250.0])
def test_one_run_a_side_cannot_tell_where_nothing_was_ever_repeated(store: Store, speed: float) -> None:
    add_measured(store, "a", decode=100, spread=0.001)
    add_measured(store, "b", decode=speed, spread=0.001, threads=4)
    [ranking] = compare(store, DECODE, ["threads"]).rankings
    [change] = [place.change for place in ranking.places if place.change]
    assert change.verdict == "inconclusive" and change.power is not None
    assert (change.power.rounds, change.power.baseline_rounds) == (2, 2)
    for run_id, again in (("a2", 100.0), ("b2", speed)):
        add_measured(store, run_id, decode=again, spread=0.001, threads=4 if run_id == "b2" else 2)
    [ranking] = compare(store, DECODE, ["threads"]).rankings
    expected = {100.0: "no difference", 101.0: "better", 250.0: "better"}[speed]
    [change] = [place.change for place in ranking.places if place.change]
    assert change.verdict in ("no difference", {"better": "worse"}.get(expected, expected)), (
        "of the slower one"
    )
    assert change.power is None


def test_what_is_inconclusive_says_how_many_runs_would_tell(store: Store) -> None:
    for number, speed in enumerate((100, 104, 101, 98, 102)):
        add_measured(store, f"a{number}", decode=speed, spread=0.001)
    add_measured(store, "b", decode=100, spread=0.001, threads=4)
    for number, speed in enumerate((50, 53)):
        add_measured(store, f"c{number}", decode=speed, spread=0.1, threads=8, serial="other")
    add_measured(store, "d", decode=49, spread=0.1, threads=7, serial="other")
    changes = [
        place.change
        for ranking in compare(store, DECODE, ["threads"]).rankings
        for place in ranking.places
        if place.change
    ]
    assert {change.verdict for change in changes} == {"inconclusive"}
    assert all(change.power and (change.power.rounds or change.power.reason) for change in changes)


def test_without_repeated_runs_there_is_no_floor_and_single_numbers_say_nothing(store: Store) -> None:
    add_measured(store, "a", peak_bytes=100, threads=1)
    add_measured(store, "b", peak_bytes=200, threads=2)
    [decode], [memory] = (
        compare(store, find_figure(name), ["threads"]).rankings for name in ("decode", "memory")
    )
    assert decode.places[0].noise is None
    change = memory.places[1].change
    assert change is not None and (change.noise, change.verdict) == (None, "inconclusive")


def test_conditions_that_were_not_repeated_borrow_their_devices_noise(two_backends: Store) -> None:
    add_measured(two_backends, "other", threads=7)
    [group] = load_groups(two_backends, DECODE, run_ids=["other"])
    floor = load_noise(two_backends, DECODE, [group.key]).floor(group.key)
    assert floor is not None and (floor.scope, floor.pairs) == ("device", 12)


@pytest.mark.parametrize(
    ("changes", "part", "values"),
    [
        ({"threads": 4}, "threads", "2 and 4"),
        ({"power_source": "usb"}, "power_source", "unknown and usb"),
        ({"prompt_tokens": 64}, "prompt_tokens", "512 and 64"),
        ({"affinity": ()}, "affinity", "0,1 and any"),
        ({"bundle_sha256": "c" * 64}, "bundle_sha256", "bbbbbbbbbbbb and cccccccccccc"),
        ({"serial": "R5CT"}, "device_serial", "emulator-5601 and R5CT"),
        ({"gate": "strict"}, "gate", "unknown and strict"),
    ],
)
def test_what_differs_in_more_than_the_axis_is_refused_by_name(
    store: Store, changes: dict[str, Any], part: str, values: str
) -> None:
    add_measured(store, "base", created_unix_ns=2)
    add_measured(
        store, "other", artifact={"sha256": "f" * 64, "quantization": "4w"}, created_unix_ns=1, **changes
    )
    with pytest.raises(ConditionsDiffer, match=f"{part}: {values}"):
        compare(store, DECODE, ["quantization"], run_ids=["base", "other"])
    comparison = compare(store, DECODE, ["quantization"])
    assert comparison.rankings == ()
    assert part in {one.part for one in comparison.unranked[0].differences}
    # Asked for as well, it may differ.
    assert len(compare(store, DECODE, ["quantization", "device", part]).rankings) == 1


def test_emulated_runs_never_meet_real_ones(store: Store) -> None:
    add_measured(store, "virtual", emulated=True)
    add_measured(store, "real", emulated=False, serial="R5CT")
    everything = [axis for axis in AXES if axis != "emulated"]
    assert compare(store, DECODE, everything).rankings == ()
    with pytest.raises(ConditionsDiffer, match=r"(?s)emulated.*never compared"):
        compare(store, DECODE, everything, run_ids=["virtual", "real"])


@pytest.mark.parametrize("axis", ["emulated", "protocol", "bakend"])
def test_axes_along_which_nothing_is_compared(store: Store, axis: str) -> None:
    with pytest.raises(BadFilter, match=r"never compared|Did you mean 'backend'"):
        compare(store, DECODE, [axis])


def test_places_with_equal_names_are_told_apart(store: Store) -> None:
    add_measured(store, "a")
    add_measured(store, "b", engine_version="1.32.0", artifact={"sha256": "f" * 64})
    [ranking] = compare(store, DECODE, ["backend"]).rankings
    assert {place.label for place in ranking.places} == {"1.31.1", "1.32.0"}


def test_every_part_that_was_asked_about_stands_at_its_place_and_in_no_title(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    large = {"sha256": "f" * 64, "model": "org/large"}
    # On each phone another model is the faster one, and another number of threads.
    for serial, speeds in (("one", (58, 21)), ("two", (21, 58))):
        add_measured(store, f"{serial}-small", decode=speeds[0], threads=2, serial=serial)
        add_measured(store, f"{serial}-large", decode=speeds[1], threads=4, serial=serial, artifact=large)
    comparison = compare(store, DECODE, ["model", "threads"])
    assert {ranking.named for ranking in comparison.rankings} == {("model", "threads")}
    labels = [[place.label for place in ranking.places] for ranking in comparison.rankings]
    small = f"{comparison.rankings[0].conditions.model}, 2"
    assert sorted(labels) == sorted([[small, "org/large, 4"], ["org/large, 4", small]])
    monkeypatch.setenv("COLUMNS", "0")
    print_comparison(comparison)
    titles = [line for line in capsys.readouterr().out.splitlines() if " along " in line]
    assert len(set(titles)) == 2 and all("one" in one or "two" in one for one in titles)
    for title in titles:
        said = title.partition(": ")[2]
        assert "onnxruntime" in said and "pp512" in said
        assert "threads" not in said and "small" not in said and "large" not in said, title


@pytest.mark.parametrize(("columns", "footnotes"), [("55", 0), ("200", 1)])
def test_a_column_that_has_no_room_takes_its_footnote_along(
    two_backends: Store,
    columns: str,
    footnotes: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_measured(two_backends, "other", threads=7)
    monkeypatch.setenv("COLUMNS", columns)
    print_comparison(compare(two_backends, DECODE, ["threads"]))
    said = capsys.readouterr()
    assert said.out.count("* pairs of equal runs") == footnotes == ("noise" not in said.err)


def test_every_axis_is_made_of_parts_of_the_key() -> None:
    # What a run was asked for and has no column is a part by its own name.
    settings = {"runner", "processor", "provider"}
    assert set(axis_parts(list(AXES))) - settings == set(PARTS) - {"emulated", "protocol"}
    assert len(fields(ConditionKey)) == len(PARTS)


@pytest.mark.parametrize(("conditions", "runs"), [(1, 2), (1, 3), (2, 3), (1, 6), (4, 2)])
def test_a_floor_of_few_runs_holds_the_next_pairs_as_often_as_it_says(
    two_backends: Store, conditions: int, runs: int
) -> None:
    key = load_groups(two_backends, DECODE)[0].key
    chance, closer, trials = random.Random(runs), 0, 400
    for _ in range(trials):
        made = [
            RunSamples(f"{threads} {number}", replace(key, threads=threads), 1, (chance.gauss(100, 1),))
            for threads in range(conditions)
            for number in range(runs)
        ]
        floor = NoiseFloors(made).floor(replace(key, threads=0))
        assert floor is not None and not floor.settled
        first, second = chance.gauss(100, 1), chance.gauss(100, 1)
        closer += max(first, second) / min(first, second) - 1 <= floor.relative
    assert 0.92 <= closer / trials <= 0.98


@pytest.mark.parametrize(("conditions", "runs"), [(1, 2), (1, 3), (2, 2), (1, 5), (3, 2), (4, 2)])
@pytest.mark.parametrize("coarse", [0.5, 2.0, 10.0])
def test_rounded_figures_of_few_runs_make_no_certainty(
    two_backends: Store, conditions: int, runs: int, coarse: float
) -> None:
    """The spread is 1: of figures in steps of 10 nearly all pairs are equal."""
    key = load_groups(two_backends, DECODE)[0].key
    chance, claimed, trials = random.Random(runs), 0, 400
    for _ in range(trials):
        middle = chance.uniform(95, 105)

        def figure(middle: float = middle) -> float:
            return round(chance.gauss(middle, 1) / coarse) * coarse

        made = [
            RunSamples(f"{threads} {number}", replace(key, threads=threads), 1, (figure(),))
            for threads in range(conditions)
            for number in range(runs)
        ]
        floor = NoiseFloors(made).floor(replace(key, threads=0))
        first, second = figure(), figure()
        claimed += floor is not None and max(first, second) / min(first, second) - 1 > floor.relative
    assert claimed / trials <= 0.08


@pytest.mark.parametrize("runs", [2, 3, 5, 20, 21, 25])
@pytest.mark.parametrize("apart", [0.0, 1e-13])
def test_equal_figures_are_no_floor_before_there_are_many(
    two_backends: Store, runs: int, apart: float
) -> None:
    key = load_groups(two_backends, DECODE)[0].key
    made = [RunSamples(str(number), key, 1, (64.1 * (1 + number % 2 * apart),)) for number in range(runs)]
    floor = NoiseFloors(made).floor(key)
    # 21 runs of one condition are 20 independent gaps.
    assert (floor is not None) == (runs >= 21)
    assert floor is None or (floor.relative == pytest.approx(0, abs=1e-12) and floor.settled)
    # Those of the device tell, if they came out different.
    other = [RunSamples(f"other{number}", replace(key, threads=9), 1, (64.0 + number,)) for number in (0, 1)]
    wider = NoiseFloors([*made, *other]).floor(key)
    # With theirs there are 20 from 20 runs on, and one that differs is less than 5 % of the pairs.
    assert wider is not None and (wider.relative > 0 or runs >= 20)


@pytest.mark.parametrize(
    ("relative", "floor", "larger"),
    [(-0.5, 1.0, False), (-0.51, 1.0, True), (-1.0, 1.0, True), (-1.03, 1.0, True), (1.1, 1.0, True)]
    + [(0.05, 0.05, False), (-0.05, 0.05, True), (0.0, 0.0, False)],
)
def test_a_change_is_held_against_the_floor_by_its_ratio(relative: float, floor: float, larger: bool) -> None:
    assert exceeds(relative, floor) is larger


def test_noise_beyond_measure_never_makes_no_difference(store: Store) -> None:
    # Equal runs were twice as fast as others, so the widened interval reaches below what is possible.
    for number, speed in enumerate((100.0, 190.0, 100.0, 190.0, 100.0)):
        add_measured(store, f"a{number}", decode=speed, spread=0.001)
        add_measured(store, f"b{number}", decode=speed / 2, spread=0.001, threads=4)
    [ranking] = compare(store, DECODE, ["threads"]).rankings
    change = ranking.places[1].change
    assert change is not None and change.verdict == "inconclusive"
    assert change.power is not None and "for all that 20 pairs tell" in (change.power.reason or "")


@pytest.mark.parametrize("files", [[{"path": "a"}], ["a"], [{"sha256": 3}], [{"sha256": None}]], ids=str)
def test_a_manifest_of_another_hand_makes_no_comparison_fail(store: Store, files: Any) -> None:
    for number, listed in enumerate((files, [*files, *files])):
        manifest = {**MANIFEST, "source": {"kind": "folder", "id": "m", "revision": None, "files": listed}}
        artifact = {"sha256": str(number) * 64, "revision": None}
        add_measured(store, f"run{number}", artifact=artifact, manifest=manifest, threads=number + 1)
    assert {"revision"} <= {one.part for one in compare(store, DECODE, ["threads"]).unranked[0].differences}


def test_sources_of_one_name_and_other_weights_are_two_models(store: Store) -> None:
    # No revision: a folder's or file's name is all that the artifact says of it.
    for number, (quantization, weights) in enumerate((("8da4w", "a"), ("4w", "b"), ("8w", "a"))):
        files = [{"path": "model.safetensors", "size_bytes": 1, "sha256": weights * 64}]
        manifest = {**MANIFEST, "source": {"kind": "folder", "id": "m", "revision": None, "files": files}}
        artifact = {"sha256": str(number) * 64, "quantization": quantization, "revision": None}
        add_measured(store, f"run{number}", artifact=artifact, manifest=manifest)
    comparison = compare(store, DECODE, ["quantization"])
    [ranking] = comparison.rankings
    assert {place.label for place in ranking.places} == {"8da4w", "8w"}
    [alone] = comparison.unranked
    assert alone.group.key.quantization == "4w"
    assert "revision" in {one.part for one in alone.differences}
    assert len(compare(store, DECODE, ["quantization", "model"]).rankings[0].places) == 3
