"""`slm recipe`, or another verb, as a user starts it: a process of its own, with data folders of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.settings import Settings
from toolkit.store import open_store


@dataclass
class SlmRecipe:
    """Starts the command in a scratch folder and reads what it left there."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = ("-m", "toolkit.cli.main")
    verb: str = "recipe"
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return Settings.from_environment(self.environment())

    @property
    def workspace(self) -> Path:
        return self.settings.data_dir / "recipes"

    def write(self, text: str, name: str = "recipe.yaml") -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *self.program, self.verb, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(),
        )
        self.processes.append(process)
        return process

    def run(self, *arguments: object, timeout_s: float = 240) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=timeout_s)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def json(self, *arguments: object) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def kill_all(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()

    def stored(self) -> list[tuple[str, str, str, int, int]]:
        """What the store holds, without times: one line per run, sorted."""
        with open_store(self.settings.store_url) as store:
            runs = store.list_runs(limit=None)
        return sorted(
            (
                one.artifact.sha256,
                one.device.serial,
                one.run.status,
                one.run.prompt_tokens,
                one.run.generate_tokens,
            )
            for one in runs
        )

    def run_ids(self) -> list[str]:
        with open_store(self.settings.store_url) as store:
            return sorted(one.run.id for one in store.list_runs(limit=None))

    def artifacts(self) -> dict[str, str]:
        """Artifact hash by step key."""
        found = {}
        for manifest in (self.workspace / "artifacts").glob("*/manifest.json"):
            files = json.loads(manifest.read_text())["files"]
            found[manifest.parent.name] = json.dumps([(one["path"], one["sha256"]) for one in files])
        return found

    def leftovers(self) -> list[str]:
        """Files that nobody finished."""
        left = [str(path) for path in self.workspace.rglob(".*partial-*")]
        raw = self.settings.data_dir / "raw"
        return left + [str(path) for path in raw.glob(".*")] if raw.is_dir() else left

    def environment(self) -> dict[str, str]:
        return {**os.environ, "SLM_DATA_DIR": str(self.folder / "data"), **self.environ}


def wait_until(condition: Callable[[], Any], timeout_s: float = 120.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (met := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return met
