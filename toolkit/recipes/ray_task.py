"""What a Ray worker runs. The worker stays for further steps, so the libraries are imported once in each."""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toolkit.recipes.child import answered
from toolkit.recipes.forkserver import settings_from_json
from toolkit.recipes.work import work_from_json
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings


def run_task(command: dict[str, Any]) -> dict[str, Any]:
    """Do a step on whatever node this is.

    Args:
        command: work, workspace, settings, host (of whom they are) and log, all JSON data.

    Returns:
        The answer as JSON data.
    """
    settings = _settings(command)
    with _output_to(Path(command["log"])):
        print(f"on {platform.node()}, process {os.getpid()}", file=sys.stderr)
        answer = answered(work_from_json(command["work"]), Workspace(Path(command["workspace"])), settings)
    return answer.model_dump(mode="json")


def _settings(command: dict[str, Any]) -> Settings:
    """Caches and phones are this host's own; the store is the one of whoever runs the recipe."""
    theirs = settings_from_json(command["settings"])
    if platform.node() == command["host"]:
        return theirs
    return dataclasses.replace(Settings.from_environment(), store_url=theirs.store_url)


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Add what this process prints to a file, that of its children included, while the block runs."""
    log.parent.mkdir(parents=True, exist_ok=True)
    saved = [os.dup(1), os.dup(2)]
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, kept in zip((1, 2), saved, strict=True):
            os.dup2(kept, number)
            os.close(kept)
