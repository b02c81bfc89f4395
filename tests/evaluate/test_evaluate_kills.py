"""An evaluation that is killed comes to the same scores."""

from __future__ import annotations

import json
import random
import signal
from pathlib import Path

import pytest
from own_tasks import write_tasks
from questions import share_cache
from recipe_process import SlmRecipe, wait_until

from toolkit.artifact import Artifact
from toolkit.settings import Settings


def answers_in(cache: Path) -> int:
    """How many are kept so far."""
    return sum(file.read_bytes().count(b"\n") for file in (cache / "evaluations").glob("*.jsonl"))


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
    done = slm("whole").run(*asked, "--json", timeout_s=1200)
    assert done.returncode == 0, done.stderr
    questions = int(json.loads(done.stdout)["asked"])
    killed, chance = slm("killed"), random.Random(0)
    # Moments are numbers of kept answers: whatever a start takes, every kill is in the middle.
    for kept in sorted(chance.sample(range(questions * 9 // 10), 10)):
        process = killed.start(*asked, "--json")
        wait_until(lambda kept=kept: answers_in(killed.settings.cache_dir) >= kept, timeout_s=600)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it was still at work"
        assert answers_in(killed.settings.cache_dir) < questions
    again = killed.run(*asked, "--json", timeout_s=1200)
    assert again.returncode == 0, again.stderr
    assert scores(again.stdout) == scores(done.stdout)
