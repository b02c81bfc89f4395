from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.report import BatchStatus, BatchStep
from toolkit.settings import Settings
from toolkit.store import Store

# As in an install without the extra.
WITHOUT_EXTRA = """
import sys
for name in ("altair", "vl_convert", "jinja2"):
    sys.modules[name] = None
from toolkit.cli.main import main
main()
"""


def slm(settings: Settings, *arguments: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
    start = ["-c", code] if code else ["-m", "toolkit.cli.main"]
    return subprocess.run(
        [sys.executable, *start, "report", *arguments],
        env={**os.environ, "SLM_STORE_URL": settings.store_url},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_format_follows_from_the_name(store: Store, settings: Settings, tmp_path: Path) -> None:
    target = tmp_path / "r.md"
    done = slm(settings, "-o", str(target), "--where", "emulated", "--model", "qwen")
    assert (done.returncode, done.stdout) == (0, f"{target}\n"), done.stderr
    text = target.read_text()
    assert "Stored runs where emulated, of models named like qwen." in text and "SmolLM2" not in text


def test_a_batch_comes_from_a_file(store: Store, settings: Settings, tmp_path: Path) -> None:
    batch = BatchStatus(name="nightly", steps=(BatchStep(name="a", kind="convert", state="done"),))
    status = tmp_path / "batch.json"
    status.write_text(batch.model_dump_json())
    done = slm(settings, "-o", str(tmp_path / "r.md"), "--batch", str(status), "--limit", "1")
    assert done.returncode == 0 and "## Batch nightly" in (tmp_path / "r.md").read_text()
    status.write_text(json.dumps({"name": "nightly", "steps": [{"name": "a", "kind": "x", "state": "odd"}]}))
    done = slm(settings, "-o", str(tmp_path / "r.md"), "--batch", str(status), "--limit", "1")
    assert done.returncode == 2 and "steps.0.state" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "htlm"], "Did you mean 'html'"),
        (["--where", "speed > 3"], "unknown column 'speed'"),
        (["--status", "fine"], "Unknown status 'fine'"),
        (["-o", "/nowhere/at/all.md"], "cannot be written"),
        (["--batch", "/nowhere.json"], "cannot be read"),
        (["-o", "report.hmtl"], "Did you mean 'html'"),
        (["-o", "report.pdf"], "no report ends in .pdf"),
    ],
)
def test_bad_options(
    store: Store, settings: Settings, tmp_path: Path, arguments: list[str], said: str
) -> None:
    if "-o" not in arguments:
        arguments = ["-o", str(tmp_path / "r.md"), "--limit", "1", *arguments]
    done = slm(settings, *arguments)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_markdown_needs_no_extra_and_the_page_names_it(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    done = slm(settings, "-o", str(tmp_path / "r.md"), "--limit", "1", code=WITHOUT_EXTRA)
    assert done.returncode == 0, done.stderr
    for arguments in (["-o", str(tmp_path / "r.html")], ["--format", "png", "-o", str(tmp_path / "figures")]):
        done = slm(settings, *arguments, code=WITHOUT_EXTRA)
        assert done.returncode == 2 and "[report]'" in done.stderr
        assert "Traceback" not in done.stderr
