from __future__ import annotations

import itertools
import math
from dataclasses import replace
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_runs import HOST, MODELS, SCHEMES, artifact, manifest, run_of

from toolkit.analysis.compared_figures import find_figure
from toolkit.analysis.groups import load_groups
from toolkit.report.configurations import read_configurations, unique_labels
from toolkit.report.curves import curve
from toolkit.report.theme import DARK, LIGHT, Theme
from toolkit.store import Store
from toolkit.store.rows import StoredRun

MADE = artifact(*MODELS[0], SCHEMES[2], "onnxruntime")


def add(store: Store, *runs: StoredRun) -> None:
    for stored in runs:
        store.add_run(stored, manifest(SCHEMES[2]))


def test_runs_of_the_same_conditions_are_pooled_as_comparisons_pool_them(empty_store: Store) -> None:
    add(empty_store, *(run_of(MADE, HOST, number=n, decode=100 + n) for n in range(3)))
    (found,) = read_configurations(empty_store, empty_store.list_runs())
    (group,) = load_groups(empty_store, find_figure("decode"))
    measured = found.measured["decode"]
    assert (measured.median, measured.low, measured.high) == (
        group.median,
        group.interval.low,
        group.interval.high,
    )
    assert (measured.runs, measured.repetitions, len(found.run_ids)) == (3, 15, 3)


@pytest.mark.parametrize(
    "changes", [{"threads": 2}, {"depth": 64}, {"generate_tokens": 64}, {"power_source": "battery"}]
)
def test_other_conditions_are_another_workload(empty_store: Store, changes: dict[str, object]) -> None:
    add(
        empty_store,
        run_of(MADE, HOST, number=1, decode=100),
        run_of(MADE, HOST, number=2, decode=100, **changes),
    )
    found = read_configurations(empty_store, empty_store.list_runs())
    first, second = (configuration.workload for configuration in found)
    assert first != second and str(first) != str(second)


def test_many_runs_are_read_in_parts(empty_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    add(empty_store, *(run_of(MADE, HOST, number=n, decode=100 + n) for n in range(5)))
    at_once = read_configurations(empty_store, empty_store.list_runs())
    monkeypatch.setattr("toolkit.report.configurations._RUNS_AT_A_TIME", 2)
    monkeypatch.setattr("toolkit.report.curves._RUNS_AT_A_TIME", 2)
    assert read_configurations(empty_store, empty_store.list_runs()) == at_once


def test_failed_runs_are_left_out(empty_store: Store) -> None:
    add(empty_store, run_of(MADE, HOST, number=1, decode=100, status="throttled"))
    assert read_configurations(empty_store, empty_store.list_runs()) == []


def test_labels_differ_wherever_configurations_do(empty_store: Store) -> None:
    other = replace(MADE, sha256="f" * 64)
    add(
        empty_store,
        run_of(MADE, HOST, number=1, decode=100),
        run_of(MADE, HOST, number=2, decode=100, kernels="engine"),
        run_of(other, HOST, number=3, decode=100),
    )
    labels = unique_labels(read_configurations(empty_store, empty_store.list_runs()))
    assert len(set(labels)) == 3
    assert sum("engine kernels" in label for label in labels) == 1
    assert sum("artifact" in label for label in labels) == 3, "an artifact is called the same everywhere"


@given(st.lists(st.lists(st.integers(1, 10**9), min_size=1, max_size=300), min_size=1, max_size=4))
def test_curves_stay_small_and_within_what_was_measured(repetitions: list[list[int]]) -> None:
    made = curve(repetitions)
    shortest = min(map(len, repetitions))
    assert 1 <= len(made.steps) == len(made.ms) <= 64
    assert made.steps[0] == 1 and made.steps[-1] <= shortest
    low, high = min(map(min, repetitions)) / 1e6, max(map(max, repetitions)) / 1e6
    assert all(low <= ms <= high for ms in made.ms)
    if shortest <= 64:
        assert made.ms[0] == pytest.approx(median(steps[0] for steps in repetitions) / 1e6)


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_have_the_contrast_that_is_promised(theme: Theme) -> None:
    def contrast(one: str, other: str) -> float:
        low, high = sorted((luminance(one), luminance(other)))
        return (high + 0.05) / (low + 0.05)

    for behind in (theme.background, theme.surface):
        assert contrast(theme.text, behind) >= 7 and contrast(theme.muted, behind) >= 7
        assert min(contrast(colour, behind) for colour in (theme.warning, theme.good, theme.bad)) >= 4.5
    assert min(contrast(colour, theme.background) for colour in theme.series) >= 4.5
    # Borders of fields: 3:1 is what WCAG asks of what one must see to use a page.
    assert contrast(theme.border, theme.background) >= 3


# Machado, Oliveira and Fernandes 2009, severity 1.0, for linear sRGB.
WITHOUT_CONES = {
    "protanopia": ((0.1523, 1.0526, -0.2049), (0.1145, 0.7863, 0.0992), (-0.0039, -0.0481, 1.0520)),
    "deuteranopia": ((0.3673, 0.8606, -0.2280), (0.2801, 0.6725, 0.0474), (-0.0118, 0.0429, 0.9689)),
    "tritanopia": ((1.2555, -0.0767, -0.1788), (-0.0784, 0.9308, 0.1476), (0.0047, 0.6914, 0.3039)),
}  # fmt: skip


def lab(red: float, green: float, blue: float) -> tuple[float, float, float]:
    """CIE L*a*b* of linear sRGB, white D65."""
    clipped = [min(1.0, max(0.0, channel)) for channel in (red, green, blue)]
    weights = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    xyz = [sum(w * c for w, c in zip(row, clipped, strict=True)) for row in weights]
    x, y, z = (
        t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116
        for t in (xyz[0] / 0.95047, xyz[1], xyz[2] / 1.08883)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("lacking", WITHOUT_CONES)
def test_series_stay_apart_for_those_who_lack_a_kind_of_cone(theme: Theme, lacking: str) -> None:
    seen = []
    for colour in theme.series:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        seen.append(
            lab(*(sum(w * c for w, c in zip(row, linear, strict=True)) for row in WITHOUT_CONES[lacking]))
        )
    # 2.3 is what can just be seen.
    assert min(math.dist(one, other) for one, other in itertools.combinations(seen, 2)) > 9
