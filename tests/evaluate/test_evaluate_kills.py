"""An evaluation that is killed comes to the same scores."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from own_tasks import write_tasks
from questions import share_cache
from recipe_process import SlmRecipe

from toolkit.artifact import Artifact
from toolkit.settings import Settings


@pytest.mark.soak
def test_ten_random_kills_change_no_score(roomy: Artifact, tmp_path: Path) -> None:
    tasks = write_tasks(tmp_path / "tasks", items=200)
    asked = (roomy.path, "--tasks", "own_letters,own_writing", "--include-path", tasks, "--shots", "1")

    def slm(folder: str) -> SlmRecipe:
        """With kept answers and a store of its own; the runner is the user's: no compiler is killed."""
        home = tmp_path / folder
        share_cache(Settings.from_environment().cache_dir, home / "cache")
        return SlmRecipe(home, {"SLM_CACHE_DIR": str(home / "cache")}, verb="evaluate")

    def scores(said: str) -> list[dict[str, object]]:
        return [dict(one) for one in json.loads(said)["scores"]]

    built = slm("built").run(*asked, "--limit", "1", timeout_s=1200)
    assert built.returncode == 0, built.stderr
    whole = slm("whole")
    started = time.monotonic()
    done = whole.run(*asked, "--json", timeout_s=1200)
    took = time.monotonic() - started
    assert done.returncode == 0, done.stderr
    killed, chance = slm("killed"), random.Random(0)
    for _ in range(10):
        process = killed.start(*asked, "--json")
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=chance.uniform(0.1, 1.0) * took)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    again = killed.run(*asked, "--json", timeout_s=1200)
    assert again.returncode == 0, again.stderr
    assert scores(again.stdout) == scores(done.stdout)
