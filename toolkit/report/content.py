"""Everything a report shows, read from the store once; the formats render it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import toolkit
from toolkit.report.batch import BatchStatus
from toolkit.report.configurations import Configuration, Workload, read_configurations
from toolkit.report.names import Names
from toolkit.report.quality import Quality, quality_of
from toolkit.store.rows import Artifact, Device, RunSummary
from toolkit.store.store import Store


@dataclass(frozen=True)
class Content:
    """A report before it is rendered.

    ``configurations`` come fastest decode first, workloads by how many runs they have, real
    devices before emulated ones. ``selection`` says in a sentence which runs these are.
    """

    title: str
    created: datetime
    toolkit_version: str
    selection: str
    runs: Sequence[RunSummary]
    configurations: Sequence[Configuration]
    workloads: Sequence[Workload]
    devices: Sequence[Device]
    qualities: Sequence[Quality]
    batch: BatchStatus | None

    @cached_property
    def names(self) -> Names:
        """What everything in it is called."""
        return Names.of((one.artifact for one in self.runs), (one.device for one in self.runs))

    @property
    def failed(self) -> int:
        """Runs that are not ok and therefore in no figure."""
        return sum(summary.run.status != "ok" for summary in self.runs)


def read_content(
    store: Store, runs: Sequence[RunSummary], *, title: str, selection: str, batch: BatchStatus | None
) -> Content:
    """Read the samples and manifests that belong to ``runs``."""
    configurations = read_configurations(store, runs)
    artifacts: dict[str, Artifact] = {summary.artifact.sha256: summary.artifact for summary in runs}
    qualities = (quality_of(artifact, store.manifest(sha256)) for sha256, artifact in artifacts.items())
    return Content(
        title=title,
        created=datetime.now(UTC),
        toolkit_version=toolkit.__version__,
        selection=selection,
        runs=runs,
        configurations=configurations,
        workloads=_workloads(configurations),
        devices=_devices(configurations),
        qualities=[quality for quality in qualities if quality is not None],
        batch=batch,
    )


def _workloads(configurations: Sequence[Configuration]) -> list[Workload]:
    # The first one is what a reader sees first: one with real devices if there is any.
    weights: Counter[Workload] = Counter()
    for configuration in configurations:
        runs = len(configuration.run_ids)
        weights[configuration.workload] += runs if configuration.device.emulated else 1000 * runs
    return [workload for workload, _ in weights.most_common()]


def _devices(configurations: Sequence[Configuration]) -> list[Device]:
    found = {configuration.device.key: configuration.device for configuration in configurations}
    return sorted(found.values(), key=lambda device: (device.emulated, device.model or "", device.serial))
