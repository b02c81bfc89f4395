"""What a report compares: all ok runs of the same thing under the same conditions, pooled."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from toolkit.analysis.compared_figures import find_figure
from toolkit.analysis.condition_key import ConditionKey
from toolkit.analysis.condition_labels import told_apart
from toolkit.analysis.groups import SEED, RunSamples, load_samples
from toolkit.analysis.statistics import RESAMPLES, median_of_medians, percentile_interval, resample
from toolkit.engines import short_name
from toolkit.report.curves import Curve, read_curves
from toolkit.report.unique_names import Names
from toolkit.store.rows import Artifact, Device, Run, RunSummary, Setting
from toolkit.store.store import Store

# In the order of Workload.gate_limits.
_GATE_LIMITS = (
    "thermal status ≤ {}",
    "CPU ≤ {} °C",
    "CPU busy ≤ {}",
    "battery ≥ {} %",
    "screen off",
    "could not be read: {}",
)
# Databases take so many bound values in one statement and not many more.
_RUNS_AT_A_TIME = 500
# Bounds the time of a large report: its intervals are drawn, and a pixel is wide.
_RESAMPLES_OF_A_REPORT = 400_000
_FEWEST_RESAMPLES = 300

# Figures with an interval, by the names that the charts know them by.
MEASURED = {
    "prefill": "prefill_tokens_per_second",
    "decode": "decode_tokens_per_second",
    "prefill_energy": "prefill_joules_per_token",
    "decode_energy": "decode_joules_per_token",
}


@dataclass(frozen=True)
class Workload:
    """The conditions that the figures of one set share; figures of different workloads are never mixed.

    What differs within a set is what one looks at: artifact, backend with its versions, and device. The
    prefill's chunk follows from the backend and is in the labels. ``threads`` 0 is the runner's choice.
    """

    prompt_tokens: int
    generate_tokens: int
    depth: int
    context_length: int
    threads: int
    affinity: tuple[int, ...]
    warmup: int
    power_source: str | None
    gate: str | None
    gate_limits: tuple[float | str | None, ...]
    settings: tuple[tuple[str, Setting], ...]
    protocol: int

    @classmethod
    def of(cls, key: ConditionKey) -> Workload:
        """The shared part of a run's conditions."""
        return cls(
            prompt_tokens=key.prompt_tokens,
            generate_tokens=key.generate_tokens,
            depth=key.depth,
            context_length=key.context_length,
            threads=key.threads,
            affinity=key.affinity,
            warmup=key.warmup,
            power_source=key.power_source,
            gate=key.gate,
            gate_limits=(
                key.gate_max_thermal_status,
                key.gate_max_celsius,
                key.gate_max_cpu_busy,
                key.gate_min_battery_percent,
                key.gate_screen_off,
                key.gate_unreadable,
            ),
            settings=key.settings,
            protocol=key.protocol,
        )

    def __str__(self) -> str:
        """All conditions in words, for captions."""
        return ", ".join(part for part in self.parts if part)

    @property
    def parts(self) -> Sequence[str]:
        """All conditions in words, in the same order for every workload; empty for what was not set."""
        cpus = f" on CPUs {','.join(map(str, self.affinity))}" if self.affinity else ""
        return [
            f"{self.prompt_tokens} prompt tokens",
            f"{self.generate_tokens} generated",
            f"depth {self.depth}",
            f"context {self.context_length}",
            f"{self.threads or 'auto'} threads{cpus}",
            f"{self.warmup} warm-up",
            "batch 1",
            f"power {self.power_source or 'unknown'}",
            f"gate {self._gate()}",
            ", ".join(f"{name} {value}" for name, value in self.settings),
            f"protocol {self.protocol}",
        ]

    @property
    def order(self) -> tuple[object, ...]:
        """By this they are sorted: by numbers first, and whatever else differs last."""
        numbers = (self.prompt_tokens, self.generate_tokens, self.depth, self.context_length, self.threads)
        return (*numbers, self.affinity, str(self))

    @property
    def file_name(self) -> str:
        """What is asked of the model, for the names of files: pp512-tg128-d1024-c2048-t4."""
        depth = f"-d{self.depth}" if self.depth else ""
        asked = f"pp{self.prompt_tokens}-tg{self.generate_tokens}{depth}"
        return f"{asked}-c{self.context_length}-t{self.threads or 'auto'}"

    def _gate(self) -> str:
        if self.gate is None:
            return "unknown"
        limits = [
            words.format(value)
            for words, value in zip(_GATE_LIMITS, self.gate_limits, strict=True)
            # 0 is a limit like any other.
            if value is not None and value is not False and value != ""
        ]
        return f"{self.gate} ({'; '.join(limits)})" if limits else self.gate


def shared_words(workloads: Iterable[Workload]) -> str:
    """The conditions that all of several have in common, in words; those that they differ in are left out."""
    first, *others = workloads
    common = tuple(one for one in first.settings if all(one in other.settings for other in others))
    every = zip(*(replace(one, settings=common).parts for one in (first, *others)), strict=True)
    return ", ".join(part for part, *more in every if part and set(more) <= {part})


@dataclass(frozen=True)
class Measured:
    """A figure of a configuration, as `slm results compare` computes it.

    Attributes:
        median: of its runs' medians.
        low: lower end of the 95 % bootstrap interval.
        high: upper end.
        repetitions: how many there are in all runs.
        runs: how many runs.
    """

    median: float
    low: float
    high: float
    repetitions: int
    runs: int


@dataclass(frozen=True)
class Memory:
    """Peak memory of the runner's process and its parts, bytes; medians over the pooled runs.

    ``after_load`` is resident once the model is loaded; the rest of the peak came while running.
    """

    peak_bytes: float
    after_load_bytes: float


@dataclass(frozen=True)
class Configuration:
    """One artifact on one device under one set of conditions; its figures pool all of its ok runs.

    ``measured`` goes by the names in ``MEASURED``.
    """

    key: ConditionKey
    artifact: Artifact
    device: Device
    run_ids: tuple[str, ...]
    measured: Mapping[str, Measured]
    memory: Memory | None
    curve: Curve | None

    @property
    def workload(self) -> Workload:
        """The conditions that it shares with others of the same figures."""
        return Workload.of(self.key)

    @property
    def decode(self) -> float:
        """Median decode rate, 0 when not measured: configurations are shown in this order."""
        return self.measured["decode"].median if "decode" in self.measured else 0.0


def unique_labels(configurations: Sequence[Configuration], names: Names | None = None) -> list[str]:
    """A label of two lines for each, unique within device and workload.

    Kernels are named where labels would be equal, and where that is not enough, whatever else differs.

    Args:
        configurations: shown together.
        names: of the report; made from the configurations by default.
    """
    names = names or Names.of((c.artifact for c in configurations), (c.device for c in configurations))
    labels = [_label(configuration, names) for configuration in configurations]
    for index in _equal(configurations, labels):
        labels[index] += f", {configurations[index].key.kernels or 'unknown'} kernels"
    places: dict[Any, list[int]] = defaultdict(list)
    for index in _equal(configurations, labels):
        places[configurations[index].device.key, configurations[index].workload].append(index)
    for indices in places.values():
        told = told_apart(
            [labels[index] for index in indices], [configurations[index].key for index in indices]
        )
        for index, label in zip(indices, told, strict=True):
            labels[index] = label
    return labels


def _label(configuration: Configuration, names: Names) -> str:
    key, artifact = configuration.key, configuration.artifact
    chunk = f", chunks of {key.prefill_chunk}" if 0 < key.prefill_chunk < key.prompt_tokens else ""
    engine = f"{short_name(key.engine)} {key.engine_version}{chunk}"
    return f"{names.model(artifact)} {names.quantization(artifact)}\n{engine}"


def _equal(configurations: Sequence[Configuration], labels: Sequence[str]) -> list[int]:
    """The configurations whose label another one of the same device and workload has."""
    places = [(c.device.key, c.workload, label) for c, label in zip(configurations, labels, strict=True)]
    count = Counter(places)
    return [index for index, place in enumerate(places) if count[place] > 1]


def read_configurations(store: Store, runs: Sequence[RunSummary]) -> list[Configuration]:
    """Pool the ok ones of some runs, fastest decode first."""
    summaries = {summary.run.id: summary for summary in runs if summary.run.status == "ok"}
    if not summaries:
        return []
    samples: dict[ConditionKey, dict[str, list[RunSamples]]] = defaultdict(lambda: defaultdict(list))
    for name, figure in MEASURED.items():
        for run in _load(store, figure, list(summaries)):
            samples[run.key][name].append(run)
    run_ids = {key: _run_ids(named.values()) for key, named in samples.items()}
    curves = read_curves(store, run_ids)
    resamples = max(_FEWEST_RESAMPLES, min(RESAMPLES, _RESAMPLES_OF_A_REPORT // max(1, len(samples))))
    configurations = []
    for key, named in samples.items():
        pooled = [summaries[run_id] for run_id in run_ids[key]]
        configurations.append(
            Configuration(
                key=key,
                artifact=pooled[0].artifact,
                device=pooled[0].device,
                run_ids=run_ids[key],
                measured={name: _measured(found, MEASURED[name], resamples) for name, found in named.items()},
                memory=_memory([summary.run for summary in pooled]),
                curve=curves.get(key),
            )
        )
    return sorted(configurations, key=lambda configuration: -configuration.decode)


def _load(store: Store, figure: str, run_ids: Sequence[str]) -> Iterator[RunSamples]:
    """A figure of all repetitions of some runs, however many runs these are."""
    for first in range(0, len(run_ids), _RUNS_AT_A_TIME):
        some = run_ids[first : first + _RUNS_AT_A_TIME]
        yield from load_samples(store, find_figure(figure), run_ids=some)


def _run_ids(samples: Iterable[Sequence[RunSamples]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(run.run_id for runs in samples for run in runs))


def _measured(samples: Sequence[RunSamples], figure: str, resamples: int) -> Measured:
    ordered = sorted(samples, key=lambda run: (run.created_unix_ns, run.run_id))
    values = [run.values for run in ordered]
    # The seed that comparisons take, so that both show the same interval.
    interval = percentile_interval(resample(values, f"{SEED} {figure} {ordered[0].run_id}", resamples))
    return Measured(
        median=median_of_medians(values),
        low=interval.low,
        high=interval.high,
        repetitions=sum(map(len, values)),
        runs=len(values),
    )


def _memory(runs: Sequence[Run]) -> Memory | None:
    peak = _median(run.peak_bytes for run in runs)
    after_load = _median(run.after_load_bytes for run in runs)
    return None if peak is None or after_load is None else Memory(peak, after_load)


def _median(values: Iterable[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
