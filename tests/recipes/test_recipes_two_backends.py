"""The shipped recipe: the real model, two engines, this machine and a virtual phone, killed at any moment."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from recipe_process import SlmRecipe, wait_until

from toolkit.errors import SourceError
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings
from toolkit.sources import resolve

RECIPE = Path(__file__).parents[2] / "recipes" / "smollm2" / "two-backends.yaml"
LESS_WORK = {
    "prompt_tokens: 128": "prompt_tokens: 32",
    "generate_tokens: 32": "generate_tokens: 8",
    "repetitions: 3": "repetitions: 1",
    "rounds: 2": "rounds: 1",
}
STEPS = {"fetch": 1, "convert": 4, "profile": 8, "report": 2}
KILLS = 10
SEED = 8


@pytest.mark.soak
@pytest.mark.timeout(5400)
def test_killed_at_ten_moments_it_resumes_to_the_same_store_content(tmp_path: Path) -> None:
    try:
        resolve("SmolLM2-135M-Instruct", Settings.from_environment())
    except SourceError as error:
        pytest.skip(f"the demo model cannot be had: {error.what}")
    text = RECIPE.read_text()
    for full, less in LESS_WORK.items():
        assert full in text
        text = text.replace(full, less)
    whole, killed = (_host(tmp_path / name) for name in ("whole", "killed"))
    try:
        _finishes(whole, text, "uninterrupted")
        _does_nothing(whole, text)
        _stop_phones(whole)

        _kill_again_and_again(killed, text)
        _finishes(killed, text, "the rest")
        assert _content(killed) == _content(whole)
        assert killed.artifacts() == whole.artifacts()
        assert len(killed.run_ids()) == STEPS["profile"]
        assert killed.leftovers() == []
        _does_nothing(killed, text)
    finally:
        for host in (whole, killed):
            host.kill_all()
            _stop_phones(host)


def _host(folder: Path) -> SlmRecipe:
    folder.mkdir()
    return SlmRecipe(folder)


def _kill_again_and_again(host: SlmRecipe, text: str) -> None:
    """Kill number n comes at a random moment after n steps: among fetching, converting and profiling."""
    rng = random.Random(SEED)
    for number in range(KILLS):
        process = host.start("run", host.write(text))
        wait_until(lambda: process.poll() is not None or _steps_done(host) >= number, 900)  # noqa: B023
        seconds = rng.uniform(0.2, 10.0)
        deadline = time.monotonic() + seconds
        wait_until(lambda: process.poll() is not None or time.monotonic() > deadline)  # noqa: B023
        assert process.poll() is None, "all was done before the last kill: they came too late"
        process.send_signal(signal.SIGKILL)
        _, err = process.communicate()
        begun = set(re.findall(r"\] start  (.*)$", err, re.M))
        ended = set(re.findall(r"\] done   (.*) \(took .*\)$", err, re.M))
        doing = ", ".join(sorted(begun - ended)) or "nothing yet"
        print(f"kill {number + 1}, {seconds:.1f} s after {number} steps or more, in: {doing}")
        assert {run[2] for run in host.stored()} <= {"ok"}


def _steps_done(host: SlmRecipe) -> int:
    return sum(record.last.outcome == "done" for record in Workspace(host.workspace).records())


def _finishes(host: SlmRecipe, text: str, name: str) -> None:
    started = time.monotonic()
    done = host.run("run", host.write(text), timeout_s=1800)
    assert done.returncode == 0, done.stderr
    print(f"{name}: {time.monotonic() - started:.0f} s")


def _does_nothing(host: SlmRecipe, text: str) -> None:
    before = host.run_ids(), host.artifacts()
    started = time.monotonic()
    again = host.json("run", host.write(text))
    print(f"run again: {time.monotonic() - started:.2f} s")
    assert (again["done"], again["already"]) == (0, sum(STEPS.values()))
    assert (host.run_ids(), host.artifacts()) == before


def _content(host: SlmRecipe) -> list[tuple[object, ...]]:
    """What the store holds; a virtual phone has another serial each time it is made."""
    return sorted((sha256, serial == "local", *rest) for sha256, serial, *rest in host.stored())


def _stop_phones(host: SlmRecipe) -> None:
    subprocess.run(
        [sys.executable, "-m", "toolkit.cli.main", "devices", "stop"], env=host.environment(), check=False
    )
