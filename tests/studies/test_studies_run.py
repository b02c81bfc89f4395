"""A study as a user runs it: on a virtual phone, killed in the middle, run again."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from recipe_process import SlmRecipe, wait_until

MODELS = "llama-tiny,gpt2-tiny,phi3-tiny"


@pytest.fixture
def slm_study(tmp_path: Path) -> Iterator[SlmRecipe]:
    started = SlmRecipe(tmp_path, verb="study")
    yield started
    started.kill_all()
    # Its virtual phones are in its own folder.
    subprocess.run(
        [sys.executable, "-m", "toolkit.cli.main", "devices", "stop"],
        env=started.environment(),
        check=True,
        capture_output=True,
        timeout=120,
    )


def test_a_killed_study_goes_on_where_it_was_and_reports(slm_study: SlmRecipe) -> None:
    asked = ("run", "latency-overview", "--models", MODELS, "--quant", "8da8w", "--protocol", "smoke")
    asked += ("--device", "virtual")
    begun = slm_study.run(*asked, "--limit", "1")
    assert begun.returncode == 0 and "no report" in begun.stderr, "nothing was measured yet"
    process = slm_study.start(*asked)
    wait_until(lambda: (slm_study.settings.data_dir / "results.db").is_file() and slm_study.run_ids())
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = slm_study.run_ids()
    done = slm_study.json(*asked)
    assert done["exit_code"] == 0 and done["failed"] == []
    ids = slm_study.run_ids()
    assert len(ids) == 3 and set(before) <= set(ids), "what was measured is not measured again"
    page = Path(done["report"]).read_text()
    assert "Jetson Orin NX" in page and "Another device and engine" in page
    assert "says nothing about the speed of a phone" in page
    assert all(model in page for model in MODELS.split(","))
    without_scripts = re.sub("<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", without_scripts)

    again = slm_study.json(*asked)
    assert (again["done"], again["already"]) == (0, 6) and slm_study.run_ids() == ids
    written = slm_study.run("report", "latency-overview", "-o", slm_study.folder / "out.json")
    assert written.returncode == 0, written.stderr
    said = json.loads((slm_study.folder / "out.json").read_text())
    few = [one for one in said["findings"] if one["verdict"] == "not enough data"]
    assert any("3 of the 6 models" in one["why"] for one in few)
    own, other = said["figures"][0]["panels"]
    assert (own["published"], other["published"]) == (False, True)
    assert (own["emulated"], other["emulated"]) == (True, False)
    assert {row["label"] for row in own["charts"][0]["rows"]} == set(MODELS.split(","))
