"""The state of a batch of steps, as a report shows it; whoever runs the batch fills it in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from toolkit.errors import UsageError

StepState = Literal["done", "cached", "running", "waiting", "failed", "skipped"]

# "done" alone would not say when.
STATE_WORDS: Mapping[StepState, str] = {
    "done": "done now",
    "cached": "done before",
    "running": "running",
    "waiting": "waiting",
    "failed": "failed",
    "skipped": "skipped",
}
STEP_STATES: tuple[StepState, ...] = ("done", "cached", "running", "waiting", "failed", "skipped")


class BatchStep(BaseModel):
    """One step: a conversion or a profile run.

    ``done`` is done by this batch, ``cached`` was done before. ``detail`` is a failed step's error or what a
    running one is doing; ``seconds`` and ``ended_unix_ns`` are None until it ends. ``run_id`` is the stored
    run of one that measures, ``log`` the file of what the step said, ``output`` what it made: an artifact's
    folder, a report. ``verdict`` is the word for a converted artifact, or why there is none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: str
    state: StepState
    seconds: float | None = None
    ended_unix_ns: int | None = None
    run_id: str | None = None
    detail: str | None = None
    log: str | None = None
    output: str | None = None
    verdict: str | None = None


class BatchStatus(BaseModel):
    """A recipe's run, finished or not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    batch: str | None = None
    steps: tuple[BatchStep, ...]

    def count(self, state: StepState) -> int:
        """How many steps are in ``state``."""
        return sum(step.state == state for step in self.steps)


def read_batch(path: Path) -> BatchStatus:
    """Read a status from a JSON file.

    Raises:
        UsageError: no such file, or not a batch status.
    """
    try:
        return BatchStatus.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}",
            subject=str(path),
            next_step="Give the JSON that `slm recipe status RECIPE --json` prints.",
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"not a batch status: {where}: {first['msg']}",
            subject=str(path),
            next_step="Give the JSON that `slm recipe status RECIPE --json` prints.",
        ) from None
