"""The steps that a plan consists of, and the work that each of them hands to a child process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, SerializeAsAny

from toolkit.artifact import Frozen, SourceInfo
from toolkit.export.request import ConvertRequest
from toolkit.profiling.request import ProfileRequest
from toolkit.recipes.estimate import Estimate
from toolkit.report.batch import BatchStatus

Kind = Literal["fetch", "convert", "profile", "report"]
# Unfinished steps run ("to do"), wait for a model to be fetched ("unknown"), or are there already ("done").
State = Literal["done", "to do", "unknown"]


@dataclass(frozen=True)
class Resources:
    """What a step occupies while it runs.

    Attributes:
        cpus: of the machine; 0 for a step that mostly waits for a phone.
        whole_host: nothing else may run on this machine.
        memory_bytes: expected most.
        memory_limit_bytes: killed above this; None for no limit of its own.
        device: held alone, by its name in the plan.
        timeout_s: killed after this.
    """

    cpus: int = 1
    whole_host: bool = False
    memory_bytes: int = 0
    memory_limit_bytes: int | None = None
    device: str | None = None
    timeout_s: float | None = None


class FetchWork(Frozen):
    """Get a model from the hub and pin what it is."""

    kind: Literal["fetch"] = "fetch"
    model: str
    revision: str | None
    offline: bool
    trust_remote_code: bool
    lock: str


class ConvertWork(Frozen):
    """Make one artifact.

    ``source`` is what the model was when it was fetched: anything else is refused, because the step's key
    stands for that source. ``code`` is the fingerprint of the toolkit that planned the step.
    """

    kind: Literal["convert"] = "convert"
    key: str
    request: SerializeAsAny[ConvertRequest]
    source: SourceInfo | None
    threads: int
    recipe_sha256: str
    code: str
    alike: tuple[str, ...]


class ProfileWork(Frozen):
    """Run one artifact on one device.

    Attributes:
        artifact: the key of the conversion.
        device: local, virtual-N or a serial.
        run_ids: of this attempt, last, and of those before it.
    """

    kind: Literal["profile"] = "profile"
    artifact: str
    device: str
    request: SerializeAsAny[ProfileRequest]
    run_ids: tuple[str, ...] = Field(())
    timeout_s: float | None
    alike: tuple[str, ...]


class ReportWork(Frozen):
    """Write one report about these runs and about what became of the batch."""

    kind: Literal["report"] = "report"
    file: str
    title: str
    batch: BatchStatus | None = None
    run_ids: tuple[str, ...] = Field(())


Work = FetchWork | ConvertWork | ProfileWork | ReportWork


@dataclass(frozen=True)
class Step:
    """One step of a plan.

    Attributes:
        key: hash of everything that can change its output; "?" while a model is not fetched.
        title: for people.
        needs: keys of steps that must be done before it.
        output: the file or folder it makes, when it makes one.
    """

    key: str
    title: str
    work: Work
    state: State
    needs: tuple[str, ...] = ()
    resources: Resources = Resources()
    estimate: Estimate = Estimate()
    output: Path | None = None

    @property
    def kind(self) -> Kind:
        """What kind of step it is."""
        return self.work.kind
