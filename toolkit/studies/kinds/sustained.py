"""`sustained`: minutes of decoding: throughput, temperature, clocks and charge over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from toolkit.analysis.findings import Draw, Finding, Sample, Statement
from toolkit.report.study_content import Chart, Panel, Row, StudyFigure, Table
from toolkit.store.measurements import tokens_per_second
from toolkit.store.rows import Condition, StoredRun
from toolkit.studies.data import Point, StudyData
from toolkit.studies.request import StudyRequest
from toolkit.studies.study import Study, Subject
from toolkit.studies.template import profiled

MINUTES = 10.0
# Short enough that readings come every few seconds, long enough that they cost nothing.
_TOKENS = 256
_FEWEST = 6
_AXIS = "minutes"
# Of the time asked for: devices' clocks are set while they run.
_WHOLE = 0.99


@dataclass(frozen=True)
class Stretch:
    """One repetition of a run.

    Attributes:
        minutes: from the run's first repetition to the middle of this one's decoding.
        tokens: decode steps.
        rate: tokens per second.
        celsius, mhz, battery_percent: read right after it; None where the device does not tell.
    """

    minutes: float
    tokens: int
    rate: float
    celsius: float | None
    mhz: float | None
    battery_percent: int | None


@dataclass(frozen=True)
class Decoding:
    """A run.

    Attributes:
        label: what it is called.
        seconds: from its first repetition's beginning to its last one's end; 0 of a run without any.
        asked_seconds: how long it was to go on.
    """

    point: Point
    label: str
    stretches: Sequence[Stretch]
    seconds: float
    asked_seconds: float

    @property
    def title(self) -> str:
        """Its label, with how long it lasted where that is less than was asked for."""
        if self.seconds >= _WHOLE * self.asked_seconds:
            return self.label
        return f"{self.label} (only {duration(self.seconds)} of {duration(self.asked_seconds)})"


def duration(seconds: float) -> str:
    """Seconds or minutes, in words."""
    value, unit = (seconds / 60, "min") if seconds >= 60 else (seconds, "s")
    return f"{value:.1f}".removesuffix(".0") + f" {unit}"


def lasted(runs: Sequence[Decoding]) -> str:
    """How long the shortest and the longest of some runs lasted."""
    seconds = [one.seconds for one in runs]
    ends = [duration(one) for one in (min(seconds, default=0.0), max(seconds, default=0.0))]
    return " to ".join(dict.fromkeys(ends))


def stretches(run: StoredRun) -> list[Stretch]:
    """The repetitions of a run in their order, warm-ups included: heat does not leave them out."""
    after = {one.repetition: one for one in run.conditions if one.moment == "after"}
    ordered = sorted(run.repetitions, key=lambda one: one.started_unix_ns)
    found = []
    for one in ordered:
        total = sum(one.decode_ns)
        if not total:
            continue
        middle = one.started_unix_ns + (one.prefill_ns or 0) + total / 2 - ordered[0].started_unix_ns
        reading = after.get(one.index)
        found.append(
            Stretch(
                minutes=middle / 60e9,
                tokens=len(one.decode_ns),
                rate=tokens_per_second(len(one.decode_ns), total),
                celsius=reading.hottest_cpu_celsius if reading else None,
                mhz=_mhz(reading),
                battery_percent=reading.battery_percent if reading else None,
            )
        )
    return found


def length_seconds(run: StoredRun) -> float:
    """From the beginning of a run's first repetition to the end of its last one."""
    ends = [one.started_unix_ns + (one.prefill_ns or 0) + sum(one.decode_ns) for one in run.repetitions]
    return (max(ends) - min(one.started_unix_ns for one in run.repetitions)) / 1e9 if ends else 0.0


def _asked_seconds(run: StoredRun) -> float:
    """How long a run was to last. Runs of before have no limit: the default was meant."""
    return float((run.run.settings or {}).get("repeat_s", 60 * MINUTES))


def _mhz(reading: Condition | None) -> float | None:
    """The fastest CPU's clock."""
    known = [one for one in (reading.cpu_frequencies_khz or ()) if one] if reading else []
    return max(known) / 1e3 if known else None


def tokens_per_percent(found: Sequence[Stretch]) -> float | None:
    """Tokens for each percent of battery that a run took; None where it took none, or nobody knows."""
    known = [one.battery_percent for one in found if one.battery_percent is not None]
    used = known[0] - known[-1] if known else 0
    return sum(one.tokens for one in found) / used if used > 0 else None


def _settles(draw: Draw) -> float | None:
    """Throughput in the last third over that in the first."""
    ordered = sorted(draw, key=lambda one: one[0])
    third = len(ordered) // 3
    if not third:
        return None
    first, last = (
        median(values["rate"] for _, values in some) for some in (ordered[:third], ordered[-third:])
    )
    return last / first


_FALLS = Statement(
    text="Throughput falls by more than 5 % while the device decodes without a pause",
    source="a question of this toolkit",
    names=("rate",),
    statistic=_settles,
    limit=0.95,
    above=False,
    effect="{:.1%}".format,
    unit=" of the first third's throughput in the last third",
    of="repetitions",
)


def _template(request: StudyRequest, subjects: Sequence[Subject]) -> Mapping[str, Any]:
    work = {
        "prompt_tokens": 16,
        "generate_tokens": _TOKENS,
        "repetitions": _FEWEST,
        "repeat_s": round(60 * (request.minutes or MINUTES)),
        "warmup": 0,
        "gate": "watch",
        "pause_s": 0.0,
    }
    small = min((one.entry.architecture.context or _TOKENS for one in subjects if one.entry), default=_TOKENS)
    if small < _TOKENS + 16:
        work["generate_tokens"] = max(small - 16, 1)
    return profiled(request, subjects, profile=work)


def _of_points(data: StudyData) -> list[Decoding]:
    """Every run of every point."""
    found = []
    for point in data.points:
        runs = data.store.get_runs(point.run_ids)
        for number, run in enumerate(runs, start=1):
            again = f" round {number}" if len(runs) > 1 else ""
            label = f"{point.model} {point.series}{again}"
            found.append(Decoding(point, label, stretches(run), length_seconds(run), _asked_seconds(run)))
    return found


def _figures(data: StudyData) -> list[StudyFigure]:
    charts = (
        ("Throughput", "rate", "tokens per second"),
        ("Hottest CPU zone", "celsius", "degrees Celsius"),
        ("Clock of the fastest CPU", "mhz", "MHz"),
        ("Charge", "battery_percent", "percent"),
    )
    every = _of_points(data)
    panels = []
    for device, workload, points in data.panels():
        keys = {point.key for point in points}
        mine = [one for one in every if one.point.key in keys]
        drawn = [
            Chart(
                f"{title} over {lasted(mine)}",
                "lines",
                {"x": _AXIS, "y": axis, "whole": False},
                _rows(mine, name),
                {"series": "run", "x": _AXIS, "y": axis},
            )
            for title, name, axis in charts
        ]
        panels.append(
            Panel(data.names.device(device), f"Conditions: {workload}.", drawn, emulated=device.emulated)
        )
    text = (
        "Each point is one repetition: a short prompt, then decoding. Nothing waits for the device to cool "
        "(gate watch); readings are taken between repetitions. A throttled run counts here: how far it falls "
        "is the question."
    )
    return [StudyFigure("sustained", f"Decoding for {lasted(every)}", text, panels)]


def _rows(runs: Sequence[Decoding], name: str) -> list[Row]:
    return [
        {"series": run.title, "x": one.minutes, "y": float(getattr(one, name))}
        for run in runs
        for one in run.stretches
        if getattr(one, name) is not None
    ]


def _table(data: StudyData) -> Table:
    rows = []
    for run in _of_points(data):
        found, device = run.stretches, run.point.device
        third = max(len(found) // 3, 1)
        percent = tokens_per_percent(found)
        hottest = max((one.celsius for one in found if one.celsius is not None), default=None)
        rows.append(
            [
                run.title,
                data.names.device(device) + (" (emulated)" if device.emulated else ""),
                f"{run.seconds / 60:.1f}" if found else "-",
                f"{median(one.rate for one in found[:third]):.4g}" if found else "-",
                f"{median(one.rate for one in found[-third:]):.4g}" if found else "-",
                "-" if hottest is None else f"{hottest:.1f}",
                "-" if percent is None else f"{percent:.0f}",
            ]
        )
    return Table(
        (
            ("Run", False),
            ("Device", False),
            ("Minutes", True),
            ("First third tok/s", True),
            ("Settles at tok/s", True),
            ("Hottest CPU C", True),
            ("Tokens per battery %", True),
        ),
        rows,
    )


def _findings(data: StudyData) -> list[Finding]:
    found = []
    for run in _of_points(data):
        device = run.point.device
        own = [
            Sample(name=f"{number}", x=one.minutes, values={"rate": one.rate}, rows=run.point.run_ids)
            for number, one in enumerate(run.stretches)
        ]
        where = f"{run.title} on {data.names.device(device)}" + (" (emulated)" if device.emulated else "")
        found.append(_FALLS.test(own, where))
    return found


STUDY = Study(
    name="sustained",
    title="Sustained decoding",
    question="Where does throughput settle in decoding without a pause, and how hot does the device get?",
    survey="",
    template=_template,
    figures=_figures,
    table=_table,
    findings=_findings,
    models="SmolLM2-135M",
    takes=("minutes",),
    defaults={"minutes": MINUTES},
)
