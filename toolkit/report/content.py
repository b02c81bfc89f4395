"""Everything a report shows, read from the store once; the formats render it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import toolkit
from toolkit.analysis.roofline import RooflineShare, roofline_shares
from toolkit.report.batch import BatchStatus
from toolkit.report.configurations import Configuration, Workload, read_configurations
from toolkit.report.quality import Quality, quality_of
from toolkit.report.scores_table import ScoredModel, read_scores
from toolkit.report.unique_names import Names
from toolkit.store.rows import Artifact, Device, RunSummary
from toolkit.store.store import Store

# Parts of a workload's name: prompt and generated tokens.
_ALWAYS = 2


@dataclass(frozen=True)
class Content:
    """A report before it is rendered.

    ``configurations`` come fastest decode first, workloads by their conditions, real devices before
    emulated ones. ``first`` is the number of the workload that a reader sees first. ``selection`` says in a
    sentence which runs these are. ``rooflines`` has, by run id, what share of the device's
    roofs is known. ``scores`` are those of the runs' models.
    """

    title: str
    created: datetime
    toolkit_version: str
    selection: str
    runs: Sequence[RunSummary]
    rooflines: Mapping[str, RooflineShare]
    configurations: Sequence[Configuration]
    workloads: Sequence[Workload]
    first: int
    devices: Sequence[Device]
    qualities: Sequence[Quality]
    scores: Sequence[ScoredModel]
    batch: BatchStatus | None

    @cached_property
    def names(self) -> Names:
        """What everything in it is called."""
        return Names.of((one.artifact for one in self.runs), (one.device for one in self.runs))

    @property
    def choices(self) -> Sequence[str]:
        """The workloads in words: what is asked of the model, and in what else they differ."""
        parts = [workload.parts for workload in self.workloads]
        told = [
            len(set(column)) > 1 or index < _ALWAYS for index, column in enumerate(zip(*parts, strict=True))
        ]
        return [
            ", ".join(part for part, tell in zip(one, told, strict=True) if tell and part) for one in parts
        ]

    @property
    def failed(self) -> int:
        """Runs that are not ok and therefore in no figure."""
        return sum(summary.run.status != "ok" for summary in self.runs)


def read_content(
    store: Store,
    runs: Sequence[RunSummary],
    *,
    title: str,
    selection: str,
    batch: BatchStatus | None,
    every_score: bool = False,
) -> Content:
    """Read the samples, manifests and scores that belong to ``runs``; with ``every_score`` all scores."""
    configurations = read_configurations(store, runs)
    artifacts: dict[str, Artifact] = {summary.artifact.sha256: summary.artifact for summary in runs}
    qualities = (quality_of(artifact, store.manifest(sha256)) for sha256, artifact in artifacts.items())
    workloads = sorted({one.workload for one in configurations}, key=lambda one: one.order)
    return Content(
        title=title,
        created=datetime.now(UTC),
        toolkit_version=toolkit.__version__,
        selection=selection,
        runs=runs,
        rooflines=roofline_shares(store, runs),
        configurations=configurations,
        workloads=workloads,
        first=_first(configurations, workloads),
        devices=_devices(configurations),
        qualities=[quality for quality in qualities if quality is not None],
        scores=read_scores(store, artifacts.values(), every=every_score),
        batch=batch,
    )


def _first(configurations: Sequence[Configuration], workloads: Sequence[Workload]) -> int:
    """The workload with the most runs: one with real devices if there is any."""
    weights: Counter[Workload] = Counter()
    for configuration in configurations:
        runs = len(configuration.run_ids)
        weights[configuration.workload] += runs if configuration.device.emulated else 1000 * runs
    return max(range(len(workloads)), key=lambda number: weights[workloads[number]], default=0)


def _devices(configurations: Sequence[Configuration]) -> list[Device]:
    found = {configuration.device.key: configuration.device for configuration in configurations}
    return sorted(found.values(), key=lambda device: (device.emulated, device.model or "", device.serial))
