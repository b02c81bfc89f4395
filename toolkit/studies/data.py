"""What a study measured, read from the store: one point for each artifact, device and set of conditions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from toolkit.analysis.compared_figures import find_figure
from toolkit.analysis.condition_key import ConditionKey
from toolkit.analysis.findings import Sample
from toolkit.analysis.groups import Group, RunSamples, group, load_samples
from toolkit.analysis.noise import NoiseFloor, load_noise
from toolkit.engines import short_name
from toolkit.models.catalogue.catalogue import Catalogue
from toolkit.models.catalogue.entry import Entry
from toolkit.recipes.workspace import StepRecord
from toolkit.report.configurations import Workload
from toolkit.report.unique_names import Names
from toolkit.store.evaluations import evaluations_of
from toolkit.store.rows import Artifact, Device, RunSummary, StoredEvaluation
from toolkit.store.short_names import model_names
from toolkit.store.store import Store

# Databases take so many bound values in one statement and not many more.
_RUNS_AT_A_TIME = 500


@dataclass(frozen=True)
class Number:
    """A measured figure: the median over runs, its 95 % interval and the bootstrap's replicates."""

    median: float
    low: float
    high: float
    replicates: tuple[float, ...]
    repetitions: int
    runs: int

    def mapped(self, function: Any) -> Number:
        """The same in another unit; a falling function swaps the interval's ends."""
        ends = sorted((function(self.low), function(self.high)))
        return replace(
            self,
            median=function(self.median),
            low=ends[0],
            high=ends[1],
            replicates=tuple(map(function, self.replicates)),
        )


# Figures of a point: the store's name, and the unit that a study shows.
_FIGURES = {
    "ttft_ms": ("ttft_ns", lambda ns: ns / 1e6),
    "decode_ms": ("decode_tokens_per_second", lambda rate: 1e3 / rate),
    "load_ms": ("load_ns", lambda ns: ns / 1e6),
    "peak_mb": ("peak_bytes", lambda size: size / 1e6),
    "prefill_joules": ("prefill_joules_per_token", float),
    "decode_joules": ("decode_joules_per_token", float),
}


@dataclass(frozen=True)
class Point:
    """One artifact on one device under one set of conditions.

    Attributes:
        model: its name in the catalogue, or the source's own.
        entry: of the catalogue, where it has one.
        random_weights: its speed is a model's, its answers are not.
        numbers: by name; what was not measured is absent.
        run_ids: that it pools.
        told: what tells it from points of the same engine and quantization that were made otherwise.
    """

    model: str
    entry: Entry | None
    artifact: Artifact
    device: Device
    key: ConditionKey
    random_weights: bool
    numbers: Mapping[str, Number]
    run_ids: tuple[str, ...]
    told: str = ""

    @property
    def workload(self) -> Workload:
        """The conditions that it shares with others of the same panel."""
        return Workload.of(self.key)

    @property
    def reserves_context(self) -> bool:
        """Whether the cache of the artifact's whole context was in memory."""
        return bool(self.key.value("reserve") == "context")

    @property
    def family(self) -> str:
        """For colours."""
        return self.entry.family if self.entry else self.model

    @property
    def series(self) -> str:
        """What tells it from the same model in the same panel."""
        return f"{short_name(self.key.engine)} {self.artifact.quantization} {self.told}".strip()


@dataclass(frozen=True)
class StudyData:
    """Everything that a study's analysis may ask.

    Attributes:
        points: measured, smallest model first.
        records: of every step of the study's recipe that has one: studies whose results are no runs read
            them here.
        evaluations: what models knew, of the study's steps that asked.
        store: for what points do not hold.
        catalogue: what models are.
    """

    points: Sequence[Point]
    records: Sequence[StepRecord]
    evaluations: Sequence[StoredEvaluation]
    store: Store
    catalogue: Catalogue

    @cached_property
    def names(self) -> Names:
        """What everything is called."""
        return Names.of((one.artifact for one in self.points), (one.device for one in self.points))

    @property
    def cache_words(self) -> str:
        """Which keys and values are in the memory that was measured, as a sentence; empty without runs."""
        reserved = [one.reserves_context for one in self.points]
        if not reserved:
            return ""
        if all(reserved):
            return "The keys and values of the artifact's whole context are in memory."
        return (
            f"{'Some runs' if any(reserved) else 'These runs'} reserved no more than they used, as all did "
            "before: the context that an artifact is made for is not in their memory."
        )

    def by_device(self) -> list[tuple[Device, list[Point]]]:
        """Points by device; emulated devices last."""
        found: dict[str, tuple[Device, list[Point]]] = {}
        for point in self.points:
            found.setdefault(point.device.key, (point.device, []))[1].append(point)
        return sorted(found.values(), key=lambda pair: pair[0].emulated)

    def panels(self) -> Iterator[tuple[Device, Workload, list[Point]]]:
        """Points of one device and one set of conditions: what may share an axis. Emulated devices last."""
        found: dict[tuple[str, Workload], list[Point]] = defaultdict(list)
        for point in self.points:
            found[point.device.key, point.workload].append(point)
        for points in sorted(found.values(), key=lambda some: some[0].device.emulated):
            yield points[0].device, points[0].workload, points

    def series(self) -> Iterator[tuple[str, list[Point]]]:
        """Points of a panel that share engine and quantization, with words that say which these are."""
        for device, workload, points in self.panels():
            by_series: dict[str, list[Point]] = defaultdict(list)
            for point in points:
                by_series[point.series].append(point)
            emulated = " (emulated)" if device.emulated else ""
            for series, some in by_series.items():
                yield f"{self.names.device(device)}{emulated}, {series}, {_short(workload)}", some

    def noise(self, figure: str, points: Sequence[Point]) -> NoiseFloor | None:
        """How far equal runs were apart; None where that is not known."""
        keys = [one.key for one in points]
        return load_noise(self.store, find_figure(figure), keys).floor(*keys) if keys else None


def _short(workload: Workload) -> str:
    depth = f" @{workload.depth}" if workload.depth else ""
    return f"pp{workload.prompt_tokens} tg{workload.generate_tokens}{depth} ctx{workload.context_length}"


def samples(points: Sequence[Point], names: Sequence[str]) -> list[Sample]:
    """Points as a test takes them: numbers against unique parameters."""
    return [
        Sample(
            name=point.model,
            x=float(point.artifact.unique_parameters),
            values={name: point.numbers[name].median for name in names if name in point.numbers},
            replicates={name: point.numbers[name].replicates for name in names if name in point.numbers},
            rows=point.run_ids,
        )
        for point in points
    ]


def read_data(
    store: Store, run_ids: Sequence[str], records: Sequence[StepRecord], known: Catalogue
) -> StudyData:
    """Pool the ok ones of some runs."""
    summaries = {one.run.id: one for one in _existing(store, run_ids) if one.run.status == "ok"}
    groups: dict[ConditionKey, dict[str, Group]] = defaultdict(dict)
    for name, (figure, _) in _FIGURES.items():
        for found in _groups(store, figure, list(summaries)):
            groups[found.key][name] = found
    points = []
    for key, named in groups.items():
        ids = tuple(dict.fromkeys(run.run_id for one in named.values() for run in one.runs))
        summary = summaries[ids[0]]
        entry = known.find(summary.artifact.model)
        points.append(
            Point(
                model=entry.name if entry else summary.artifact.model,
                entry=entry,
                artifact=summary.artifact,
                device=summary.device,
                key=key,
                random_weights=_is_random(store, summary.artifact),
                numbers={name: _number(one).mapped(_FIGURES[name][1]) for name, one in named.items()},
                run_ids=ids,
            )
        )
    # Of paths and ids as much as it takes to tell them apart.
    short = model_names(one.model for one in points)
    points = told_apart(replace(one, model=short[one.model]) for one in points)
    points.sort(
        key=lambda one: (one.artifact.unique_parameters, one.model, one.series, one.key.context_length)
    )
    asked = [str(one.result["evaluation"]) for one in records if one.result and "evaluation" in one.result]
    evaluations = evaluations_of(store, identities=asked) if asked else []
    return StudyData(points, records, evaluations, store, known)


def told_apart(points: Iterable[Point]) -> list[Point]:
    """Points whose series name the algorithm where one engine and quantization has several of them."""
    algorithms: dict[tuple[str, str], set[str]] = defaultdict(set)
    points = list(points)
    for one in points:
        algorithms[one.key.engine, one.artifact.quantization].add(one.artifact.algorithm)
    return [
        replace(one, told=one.artifact.algorithm)
        if len(algorithms[one.key.engine, one.artifact.quantization]) > 1
        else one
        for one in points
    ]


def _existing(store: Store, run_ids: Sequence[str]) -> Iterator[RunSummary]:
    """Runs that are still in the store: somebody may have deleted some."""
    wanted = set(run_ids)
    yield from (one for one in store.list_runs() if one.run.id in wanted)


def _groups(store: Store, figure: str, run_ids: Sequence[str]) -> list[Group]:
    found = find_figure(figure)
    samples: list[RunSamples] = []
    for first in range(0, len(run_ids), _RUNS_AT_A_TIME):
        samples += load_samples(store, found, run_ids=run_ids[first : first + _RUNS_AT_A_TIME])
    return group(samples, found)


def _number(found: Group) -> Number:
    return Number(
        median=found.median,
        low=found.interval.low,
        high=found.interval.high,
        replicates=found.replicates,
        repetitions=len(found.values),
        runs=len(found.runs),
    )


def _is_random(store: Store, artifact: Artifact) -> bool:
    source = store.manifest(artifact.sha256).get("source") or {}
    return bool(source.get("kind") == "random")
