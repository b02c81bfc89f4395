"""Questions to a model wherever it answers, each asked once: answers are kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from toolkit.devices.discovery import open_device
from toolkit.devices.selection import LOCAL
from toolkit.errors import UsageError
from toolkit.evaluate.host_scorer import HostScorer
from toolkit.evaluate.on_device.kept import KeptAnswers
from toolkit.evaluate.on_device.runner_scorer import RunnerScorer
from toolkit.evaluate.request import PlacedRequest
from toolkit.evaluate.scoring import Answer, Request, Scorer
from toolkit.evaluate.subject import Subject, source_sha256
from toolkit.progress import ProgressCallback
from toolkit.runtime.bundle import build_bundle
from toolkit.settings import Settings

# A model in transformers that does not say how much it can hold.
UNKNOWN_CONTEXT = 2048


@dataclass
class Asking:
    """Questions to one model.

    Attributes:
        make: gives what answers, when it is needed first.
        kept: answers of earlier times.
        progress: called with (questions answered, questions) that were not known from before.
        asked: different questions so far.
        requests: those questions.
        answered: those of them that were not known from before.
    """

    make: Callable[[], Scorer]
    kept: KeptAnswers
    progress: ProgressCallback
    asked: int = 0
    answered: int = 0
    requests: dict[Request, None] = field(default_factory=dict)
    _scorer: Scorer | None = None

    def answers(self, requests: Sequence[Request]) -> list[Answer]:
        """Answers in the order of the questions.

        Raises:
            ToolkitError: the model cannot answer; what it answered before is kept.
        """
        different = dict.fromkeys(requests)
        self.asked += len(different)
        self.requests |= different
        fresh = [one for one in different if self.kept.get(one) is None]
        done = 0
        self.progress(0, len(fresh))

        def take(index: int, answer: Answer) -> None:
            nonlocal done
            self.kept.add(fresh[index], answer)
            done += 1
            self.progress(done, len(fresh))

        if fresh:
            if self._scorer is None:
                self._scorer = self.make()
            self._scorer.answer(fresh, take)
        self.answered += len(fresh)
        found = []
        for one in requests:
            answer = self.kept.get(one)
            assert answer is not None, "a scorer answers all or raises"
            found.append(answer)
        return found


def asking(
    subject: Subject, request: PlacedRequest, settings: Settings, progress: ProgressCallback
) -> Asking:
    """Ask a model: in transformers, or an artifact in the runner on the device that the request names.

    Raises:
        UsageError: a device for a model that is no artifact.
        DeviceError: the device does not say what it is.
    """

    def make() -> Scorer:
        if subject.artifact is None:
            capacity = subject.context_length or UNKNOWN_CONTEXT
            return HostScorer(subject.open(capacity, request.dtype), subject.name)
        device = open_device(request.device or LOCAL, settings)
        return RunnerScorer(device, subject.artifact, settings, threads=request.threads)

    name = _identity(subject, request, settings)
    return Asking(make, KeptAnswers(settings.cache_dir / "evaluations" / f"{name}.jsonl"), progress)


def where(subject: Subject, request: PlacedRequest) -> str:
    """What answers, for people and records."""
    if subject.artifact is None:
        return f"transformers {request.dtype}"
    return request.device or LOCAL


def place_of(subject: Subject, request: PlacedRequest, settings: Settings) -> str:
    """What tells where a model answers from all other places: the hardware's own name where it has one."""
    if subject.artifact is None:
        return where(subject, request)
    device = open_device(request.device or LOCAL, settings)
    return device.identity().hardware or device.serial


def _identity(subject: Subject, request: PlacedRequest, settings: Settings) -> str:
    """A hash over all that answers depend on beside the questions."""
    identity: list[Any]
    if subject.artifact is not None:
        abi = open_device(request.device or LOCAL, settings).info().abi
        manifest = subject.artifact.manifest
        bundle = build_bundle(abi or "host", settings, engine=manifest.backend.name)
        identity = [manifest.sha256, place_of(subject, request, settings), bundle.sha256]
    else:
        assert subject.source is not None
        if request.device is not None:
            raise UsageError(
                "--device runs artifacts; a model that is none runs in transformers on this machine",
                subject=subject.name,
                next_step="Leave --device out, or convert the model first.",
            )
        if request.threads:
            raise UsageError(
                "--threads are the runner's; a model that is no artifact runs in transformers",
                subject=subject.name,
                next_step=f"Leave --threads out and set OMP_NUM_THREADS={request.threads}, which "
                "transformers heeds, or convert the model first.",
            )
        libraries = [version("transformers"), version("torch")]
        identity = [source_sha256(subject.source), request.dtype, *libraries]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]
