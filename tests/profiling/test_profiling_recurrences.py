"""Decoders with states of fixed size, through the command line."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from subprocess import run

import pytest
from runs import SMALL_FLAGS
from slm_process import SlmProcess

from toolkit.artifact import Artifact
from toolkit.settings import Settings
from toolkit.store import open_store

CONFIGS = Path(__file__).parents[1] / "families" / "configs"
ENGINES = ("onnxruntime", "executorch") if find_spec("executorch") else ("onnxruntime",)

pytestmark = pytest.mark.timeout(600)


# Attention, convolutions and recurrences in one decoder.
@pytest.mark.parametrize("engine", ENGINES)
def test_greedy_tokens_equal_the_host_whatever_the_chunks_are(
    slm: SlmProcess, settings: Settings, tmp_path: Path, engine: str
) -> None:
    folder = tmp_path / "artifact"
    command = [sys.executable, "-c", "from toolkit.cli.main import main; main()", "convert"]
    command += [
        f"random:{CONFIGS / 'bamba.json'}",
        "--backend",
        engine,
        "--quant",
        "fp32",
        "-o",
        str(folder),
    ]
    # In a process of its own: importing ExecuTorch warns, and warnings are errors here.
    run(command, check=True, capture_output=True, text=True, timeout=300)
    artifact = Artifact.load(folder)
    assert artifact.manifest.parity is not None and artifact.manifest.parity.passed
    assert not (folder / "genai_config.json").exists()
    assert ("onnxruntime-genai" in (artifact.manifest.runtimes or ["onnxruntime-genai"])) == (
        engine == "executorch"
    )
    process = slm("profile", folder, "-d", "local", *SMALL_FLAGS, "--prefill-chunk", "5")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    with open_store(settings.store_url) as store:
        [entry] = store.list_runs()
    assert entry.run.status == "ok"
    assert entry.run.greedy_matched == entry.run.greedy_total and entry.run.greedy_total
