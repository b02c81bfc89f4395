"""What batches leave on disk: one workspace for all recipes, so that equal steps are done once.

::

    <workspace>/artifacts/<key>/          a conversion's artifact
                steps/<key>.json          what became of a step, attempt by attempt (slm-step/1)
                logs/<key>.log            what the step printed
                sources/<hash>.json       what a hub model was when it was first fetched (slm-source/1)
                batches/<recipe>/         batch.json (slm-batch/1), lock, reports, links to the artifacts
                identity                  what tells its runs from those of other workspaces

Everything is written under another name and renamed: a file is whole or absent.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError

from toolkit import files, locks
from toolkit.artifact import MANIFEST, Frozen, SourceInfo
from toolkit.errors import BatchBusy
from toolkit.settings import Settings

KEY_LENGTH = 24
Outcome = Literal["running", "done", "failed"]


class Attempt(Frozen):
    """One try at a step.

    ``run_id`` of a profile step is noted before the run starts: after a kill it tells whether the run was
    stored. ``batch`` is the run of the recipe that made it, None in records of before. ``found`` says that
    nothing was done: the result was there already, of this attempt or one before it, and ``started_unix_ns``
    is when the first of them began.
    """

    number: int
    outcome: Outcome
    started_unix_ns: int
    ended_unix_ns: int | None = None
    error: str | None = None
    run_id: str | None = None
    host: str | None = None
    batch: str | None = None
    found: bool = False

    @property
    def seconds(self) -> float | None:
        """How long it took, once it has ended; None where its result was there already."""
        if self.ended_unix_ns is None or self.found:
            return None
        return (self.ended_unix_ns - self.started_unix_ns) / 1e9

    @property
    def measured_unix_ns(self) -> int | None:
        """When its result was made, or not long before."""
        return self.started_unix_ns if self.found else self.ended_unix_ns


class StepRecord(Frozen):
    """``steps/<key>.json``."""

    schema_: Literal["slm-step/1"] = Field("slm-step/1", alias="schema")
    key: str
    kind: str
    title: str
    attempts: list[Attempt]
    result: dict[str, Any] | None = None

    model_config = Frozen.model_config | {"populate_by_name": True}

    @property
    def last(self) -> Attempt:
        """The newest attempt."""
        return self.attempts[-1]


class SourceLock(Frozen):
    """``sources/<hash>.json``: what a model was when it was fetched; later runs take the same."""

    schema_: Literal["slm-source/1"] = Field("slm-source/1", alias="schema")
    model: str
    asked_revision: str | None
    info: SourceInfo
    config: dict[str, Any]

    model_config = Frozen.model_config | {"populate_by_name": True}


class BatchFile(Frozen):
    """``batches/<recipe>/batch.json``: the plan of the newest run, for `slm recipe status`.

    ``id`` names that run; it is empty in files of before.
    """

    schema_: Literal["slm-batch/1"] = Field("slm-batch/1", alias="schema")
    recipe: str
    recipe_sha256: str
    executor: str
    started_unix_ns: int
    pid: int
    id: str = ""
    steps: list[dict[str, str]]

    model_config = Frozen.model_config | {"populate_by_name": True}


M = TypeVar("M", StepRecord, SourceLock, BatchFile)


@dataclass(frozen=True)
class Workspace:
    """Paths in a workspace, and its files as data.

    Attributes:
        root: the folder.
        share: URL through which hosts exchange artifacts that do not see each other's folders.
    """

    root: Path
    share: str | None = None

    @classmethod
    def default(cls, settings: Settings, share: str | None = None) -> Workspace:
        """The user's."""
        return cls(settings.data_dir / "recipes", share)

    def identity(self) -> str:
        """What tells its runs from those of other workspaces; made when it is first asked for.

        It is empty for a workspace of before, so that what was begun there goes on under its ids. A copy of a
        workspace gets one of its own: the folder's number on its disk stands beside it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        path, here = self.root / "identity", str(self.root.stat().st_ino)
        # Two batches may begin at once; the first one's is kept.
        with locks.exclusive(self.root / ".identity.lock"):
            if path.is_file():
                known, _, where = path.read_text(encoding="utf-8").partition("\n")
            else:
                used = next((self.root / "steps").glob("*.json"), None) is not None
                known, where = "" if used else secrets.token_hex(8), ""
            if where.strip() not in ("", here):
                known = secrets.token_hex(8)
            if where.strip() != here:
                files.write_whole(path, f"{known}\n{here}\n")
        return known

    def artifact(self, key: str) -> Path:
        """Where a conversion's artifact is or will be."""
        return self.root / "artifacts" / key

    def log(self, key: str) -> Path:
        """A step's log."""
        return self.root / "logs" / f"{key}.log"

    def add_to_log(self, key: str, line: str) -> None:
        """Say in a step's log what only the batch knows of it."""
        path = self.log(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="replace") as log:
            log.write(f"{line}\n")

    def batch(self, name: str) -> Path:
        """Folder of a recipe's batch."""
        return self.root / "batches" / name

    def record(self, key: str) -> StepRecord | None:
        """What became of a step; None when it was never begun, or the file is of another version."""
        return _read(StepRecord, self._record(key))

    def write_record(self, record: StepRecord) -> None:
        """Replace a step's record."""
        write_atomically(self._record(record.key), record.model_dump_json(by_alias=True, indent=2))

    def records(self) -> Iterator[StepRecord]:
        """All records, of all recipes."""
        for path in sorted((self.root / "steps").glob("*.json")):
            if record := _read(StepRecord, path):
                yield record

    def source(self, name: str) -> SourceLock | None:
        """A source lock by its file's name."""
        return _read(SourceLock, self._source(name))

    def write_source(self, name: str, lock: SourceLock) -> None:
        """Pin a source."""
        write_atomically(self._source(name), lock.model_dump_json(by_alias=True, indent=2))

    def forget_source(self, name: str) -> None:
        """Unpin a source."""
        self._source(name).unlink(missing_ok=True)

    def batch_file(self, name: str) -> BatchFile | None:
        """The newest batch of a recipe."""
        return _read(BatchFile, self.batch(name) / "batch.json")

    def batch_names(self) -> list[str]:
        """Recipes that were ever run here."""
        return sorted(path.parent.name for path in (self.root / "batches").glob("*/batch.json"))

    def write_batch(self, name: str, batch: BatchFile) -> None:
        """Replace a batch's description."""
        write_atomically(self.batch(name) / "batch.json", batch.model_dump_json(by_alias=True, indent=2))

    def remove_leftovers(self, key: str) -> None:
        """Delete what a killed conversion left: staged folders, and a folder without a manifest."""
        target = self.artifact(key)
        files.remove_leftovers(target)
        if target.exists() and not (target / MANIFEST).is_file():
            shutil.rmtree(target)

    @contextmanager
    def batch_lock(self, name: str) -> Iterator[None]:
        """Keep a second `slm recipe run` of this recipe out.

        Raises:
            BatchBusy: another process holds it.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(locks.held_or_refused(self._lock(name)))
            except locks.LockHeld as held:
                raise BatchBusy(
                    f"is being run by process {held.holder}",
                    subject=f"recipe {name}",
                    next_step=f"Watch it: slm recipe status {name}",
                ) from None
            yield

    def is_running(self, name: str) -> bool:
        """Whether a process runs this recipe now."""
        return locks.is_held(self._lock(name))

    def running_batches(self) -> list[str]:
        """The ids of the batches that processes run now."""
        running = [self.batch_file(name) for name in self.batch_names() if self.is_running(name)]
        return [batch.id for batch in running if batch is not None and batch.id]

    def _lock(self, name: str) -> Path:
        return self.batch(name) / "lock"

    def _record(self, key: str) -> Path:
        return self.root / "steps" / f"{key}.json"

    def _source(self, name: str) -> Path:
        return self.root / "sources" / f"{name}.json"


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that readers see the old or the new content, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_whole(path, text + "\n")


def _read(model: type[M], path: Path) -> M | None:
    try:
        return model.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return None
