"""The raw files of a run on this host: ``<data_dir>/raw/<run id>/``, whole or absent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from toolkit import files
from toolkit.profiling import remote
from toolkit.profiling.description import RunDescription
from toolkit.profiling.gate.moments import Moment
from toolkit.settings import Settings

READINGS = "readings.json"
ARGV = "argv.json"


def raw_dir(settings: Settings, run_id: str) -> Path:
    """Where a run's raw files are."""
    return settings.data_dir / "raw" / run_id


@contextmanager
def staged(settings: Settings, run_id: str) -> Iterator[Path]:
    """A folder to collect a run's files in; it is gone when the block ends without :func:`keep`."""
    target = raw_dir(settings, run_id)
    # The device's lock is held: nobody else stages this run.
    files.remove_leftovers(target)
    with files.staged_folder(target) as folder:
        yield folder


def keep(staged_folder: Path, settings: Settings, run_id: str) -> Path:
    """Give a staged folder its final name, replacing what an earlier attempt at this run left."""
    return files.put_in_place(staged_folder, raw_dir(settings, run_id))


def write_description(folder: Path, description: RunDescription) -> Path:
    """Write ``run.json`` and, for people, ``argv.json``."""
    (folder / ARGV).write_text(json.dumps(description.argv, indent=2) + "\n", encoding="utf-8")
    path = folder / remote.DESCRIPTION
    path.write_text(description.to_json(), encoding="utf-8")
    return path


def write_readings(folder: Path, moments: Sequence[Moment]) -> None:
    """Write ``readings.json``."""
    readings = [asdict(moment) for moment in moments]
    (folder / READINGS).write_text(json.dumps(readings, indent=2) + "\n", encoding="utf-8")
