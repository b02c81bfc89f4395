"""What tables look like on terminals of 80 and of 160 columns, kept as text in `terminals/`.

After a change that is meant, this writes them again: WRITE_TERMINALS=1 pytest tests/cli/test_cli_terminals.py
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from measured_runs import add_measured
from stored_runs import MANIFEST, stored_run
from typer.testing import CliRunner

from toolkit.artifact import MANIFEST as MANIFEST_FILE
from toolkit.cli import devices, estimate, recipe_text
from toolkit.cli.main import app
from toolkit.devices.base import DeviceInfo
from toolkit.estimate.estimate import Estimate, Memory, StateBytes
from toolkit.export.estimate import EstimatedConversion
from toolkit.report import BatchStatus, BatchStep
from toolkit.store import open_store
from toolkit.store.tags import tag_runs

KEPT = Path(__file__).with_name("terminals")
BEFORE = Path(__file__).parents[1] / "profiling" / "before"
HOUR_NS = 3_600_000_000_000


def slm(*arguments: str) -> None:
    """A command's output, on this test's stdout."""
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    print(done.stdout, end="")


def fill_store(folder: Path) -> None:
    """Runs on a phone with a name, one with a long serial and an emulated one; tags, and one that failed."""
    long_name = {"sha256": "c" * 64, "model": "HuggingFaceTB/SmolLM2-1.7B-Instruct"}
    with open_store(f"sqlite:///{folder / 'results.db'}") as store:
        for number in range(3):
            add_measured(store, f"a{number}b2c3d4e5f60718", decode=57.9, created_unix_ns=number * HOUR_NS)
            add_measured(store, f"b{number}b2c3d4e5f60718", decode=21.3, artifact=long_name, threads=4)
        tag_runs(store, "nightly", ["a2b2c3d4e5f60718"])
        failed = stored_run(
            id="zyxw000000000000",
            serial="adb-R5CT10ABCDE-x7Q9Lm._adb-tls-connect._tcp",
            emulated=False,
            status="token_mismatch",
            error="greedy tokens part at position 3: 1701 was expected, 42 came",
            greedy_matched=3,
            prefill_tokens_per_second=None,
            decode_tokens_per_second=None,
            prefill_stdev=None,
            decode_stdev=None,
            peak_bytes=None,
        )
        named = replace(failed, device=replace(failed.device, model=None, name="left shelf, slot 3"))
        store.add_run(named, MANIFEST)


def results_list(folder: Path) -> None:
    slm("results", "list")


def results_list_wide(folder: Path) -> None:
    slm("results", "list", "-w")


def results_show(folder: Path) -> None:
    slm("results", "show", "a0b2")


def results_show_failed(folder: Path) -> None:
    slm("results", "show", "zyxw")


def results_compare(folder: Path) -> None:
    slm("results", "compare", "--axis", "model", "--axis", "threads")


def results_groups(folder: Path) -> None:
    slm("results", "compare")


def artifacts_list(folder: Path) -> None:
    manifest = next(BEFORE.rglob(MANIFEST_FILE))
    shutil.copytree(manifest.parent, "artifacts/SmolLM2-135M-Instruct-onnxruntime-mobile-4bit")
    Path("artifacts/cut").mkdir()
    Path("artifacts/cut", MANIFEST_FILE).write_text("{")
    slm("artifacts", "list")


def models_list(folder: Path) -> None:
    slm("models", "list", "--match", "SmolLM2")


def devices_list(folder: Path) -> None:
    phone = DeviceInfo(
        serial="adb-R5CT10ABCDE-x7Q9Lm._adb-tls-connect._tcp",
        kind="adb",
        state="device",
        name="left shelf, slot 3",
        manufacturer="Samsung",
        model="SM-S921B",
        abi="arm64-v8a",
        os_version="Android 15",
        free_bytes=41_200_000_000,
        used_bytes=318_000_000,
    )
    waiting = DeviceInfo(
        serial="192.168.100.217:5555",
        kind="adb",
        state="unauthorized",
        advice="Unlock the phone and allow USB debugging for this computer, then run the command again.",
    )
    emulated = replace(phone, serial="127.0.0.1:40123", name=None, model="Virtual Pixel 8", emulated=True)
    local = replace(
        phone,
        serial="local",
        kind="local",
        name=None,
        manufacturer=None,
        model="Intel Xeon",
        abi="x86_64",
        os_version="Debian GNU/Linux 12 (bookworm)",
    )
    devices._print_devices([local, phone, waiting, emulated], False)


def recipe_status(folder: Path) -> None:
    title = "HuggingFaceTB/SmolLM2-135M-Instruct, onnxruntime, 8da4w g32 hqq, context 2048"
    done = BatchStep(
        name=f"convert {title}",
        kind="convert",
        state="cached",
        seconds=83.04,
        ended_unix_ns=time.time_ns() - 30 * HOUR_NS,
    )
    why = "the runner was killed (signal 9): too little memory for what it mapped; next: a smaller context"
    status = BatchStatus(
        name="two-backends",
        batch="two-backends-20261129-170001",
        steps=(
            done,
            changed(done, name=f"profile {title} on 127.0.0.1:40123", kind="profile", state="running"),
            changed(done, name="profile random:llama-tiny", state="failed", detail=why),
            changed(done, name="report two-backends", state="waiting", seconds=None, ended_unix_ns=None),
        ),
    )
    recipe_text.print_status(status, running=True)


def changed(step: BatchStep, **changes: object) -> BatchStep:
    return step.model_copy(update=changes)


def estimated(folder: Path) -> None:
    memory = Memory(
        mapped_bytes=91_000_000,
        packed_bytes=88_000_000,
        states_bytes=47_185_920,
        compute_bytes=12_000_000,
        process_bytes=31_000_000,
        loading_bytes=7_000_000,
    )
    found = Estimate(
        unique_parameters=134_515_008,
        stored_parameters=162_826_560,
        artifact_bytes=94_000_000,
        tokenizer_bytes=3_000_000,
        tokenizer_known=False,
        text=2048,
        states=(StateBytes("keys", True, 47_185_920),),
        memory=memory,
        prompt_tokens=512,
        prefill_flops=109_000_000_000,
        decode_weights_bytes=88_000_000,
        decode_states_bytes=47_185_920,
    )
    estimate.print_estimate(
        EstimatedConversion("SmolLM2-135M-Instruct", "onnxruntime", "8da4w", 2048, "facts", found)
    )


SHOWN: Mapping[str, Callable[[Path], None]] = {
    shown.__name__: shown
    for shown in (
        results_list,
        results_list_wide,
        results_show,
        results_show_failed,
        results_compare,
        results_groups,
        artifacts_list,
        models_list,
        devices_list,
        recipe_status,
        estimated,
    )
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("terminals")
    fill_store(folder)
    return folder


@pytest.mark.parametrize("columns", [80, 160])
@pytest.mark.parametrize("name", SHOWN)
def test_a_terminal_shows(
    name: str,
    columns: int,
    filled: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("SLM_STORE_URL", f"sqlite:///{filled / 'results.db'}")
    monkeypatch.setenv("SLM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    SHOWN[name](tmp_path)
    shown = capsys.readouterr().out
    if not name.endswith("wide"):
        assert max(map(len, shown.splitlines())) <= columns
    kept = KEPT / f"{name}-{columns}.txt"
    if "WRITE_TERMINALS" in os.environ:
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(shown)
    assert shown == kept.read_text()


def test_a_pipe_gets_whole_values_in_all_columns(
    filled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("SLM_STORE_URL", f"sqlite:///{filled / 'results.db'}")
    slm("results", "list")
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["id", "date"] and len(rows) == 7
    for whole in (
        "a0b2c3d4e5f60718",
        "adb-R5CT10ABCDE-x7Q9Lm._adb-tls-connect._tcp",
        "onnxruntime 1.31.1",
    ):
        assert any(whole in row for row in rows)
