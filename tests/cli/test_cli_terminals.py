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
from types import SimpleNamespace
from typing import Any

import pytest
from measured_runs import add_measured
from stored_evaluations import EVALUATION, SCORE
from stored_runs import MANIFEST, stored_run
from typer.testing import CliRunner

from toolkit.analysis.scores import Paired, ScorePlace, ScoreRanking
from toolkit.analysis.statistics import Interval
from toolkit.artifact import MANIFEST as MANIFEST_FILE
from toolkit.artifact import Artifact
from toolkit.autotune.candidates import Candidate
from toolkit.autotune.search import Measured
from toolkit.autotune.tuning import Tuned
from toolkit.care.cleaning import Kept
from toolkit.care.finding import Finding
from toolkit.care.watching import Watched
from toolkit.cli import (
    autotune,
    compare,
    convert,
    device_storage,
    device_watch,
    devices,
    doctor,
    estimate,
    evaluate,
    profile,
    recipe_text,
)
from toolkit.cli.main import app
from toolkit.cli.results import scores
from toolkit.devices.base import DeviceInfo, Readings
from toolkit.estimate.estimate import Estimate, Memory, StateBytes
from toolkit.evaluate.intervals import Estimate as Figure
from toolkit.evaluate.needle.haystack import KINDS
from toolkit.evaluate.needle.needle_scores import NeedleFigures, NeedleScore
from toolkit.evaluate.tasks.task_scores import TaskFigures, TaskScore
from toolkit.evaluate.text import TextFigures
from toolkit.export.estimated_conversion import EstimatedConversion
from toolkit.export.request import ConvertRequest
from toolkit.recipes.batch import Summary
from toolkit.recipes.plan import Plan
from toolkit.recipes.step_estimates import StepEstimate
from toolkit.recipes.steps import Step
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
        active_parameters=134_515_008,
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
        EstimatedConversion("SmolLM2-135M-Instruct", "onnxruntime", "8da4w", 2048, "facts", "8da4w", found)
    )


def results_regress(folder: Path) -> None:
    url = f"sqlite:///{folder / 'regress.db'}"
    with open_store(url) as store:
        for number in range(6):
            add_measured(store, f"c{number}b2c3d4e5f60718", decode=57.9, created_unix_ns=number * HOUR_NS)
        tag_runs(store, "main", [f"c{number}b2c3d4e5f60718" for number in range(3)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLM_STORE_URL", url)
        slm("results", "regress", "--baseline", "main")


def results_scores(folder: Path) -> None:
    def place(name: str, value: float, paired: Paired | None) -> ScorePlace:
        made = replace(
            EVALUATION, id=name, name=name, model=name, quantization="8da4w g32 hqq", place="SM-S921B"
        )
        score = replace(SCORE, task="arc_easy", value=value, stderr=0.0101, n=2376)
        return ScorePlace(made, score, paired)

    compared = Paired(items=2376, difference=-0.0312, interval=Interval(-0.0501, -0.0123), p_value=0.00123)
    best = place("SmolLM2-1.7B-Instruct-onnxruntime-mobile-8bit", 0.5912, None)
    other = place("SmolLM2-135M-Instruct-onnxruntime-8da4w", 0.56, compared)
    scores.print_rankings([ScoreRanking("arc_easy", 0, "acc", False, (best, other))])


def compare_two(folder: Path) -> None:
    both: Any = tuple(
        SimpleNamespace(
            name=f"SmolLM2-135M-Instruct-onnxruntime-{quant}", manifest=SimpleNamespace(sha256=letter * 64)
        )
        for letter, quant in (("a", "8da4w"), ("b", "mobile-8bit"))
    )
    rows = [
        {
            "figure": "decode", "unit": "tok/s", "a": 57.93, "b": 41.2, "change": -0.289,
            "interval": [-0.301, -0.271], "noise": 0.007, "verdict": "worse",
        },
        {"figure": "size", "unit": "MB", "a": 92.0, "b": 139.6, "change": 0.517},
        {"figure": "mean KL", "unit": "nats", "a": 0.0912, "b": None},
    ]  # fmt: skip
    compare._print(both, rows)


def autotuned(folder: Path) -> None:
    def built(size_mb: float, loss: float, **asked: Any) -> Measured:
        request = ConvertRequest.of(model="SmolLM2-135M-Instruct", **asked)
        found = Candidate(request, int(size_mb * 1e6), loss, int(size_mb * 0.9e6))
        return Measured(found, Path("artifacts/x"), int(size_mb * 1e6), loss, 1 + loss, 57.9)

    rows = [
        built(80.5, 0.1412, quant="8da4w", group_size=16, algorithm="gptq", eight_bit="value,down"),
        built(88.2, 0.0551, quant="mobile-4bit"),
    ]
    autotune._print(Tuned(164, 40, rows, (("4w g256", "the runner was killed (signal 9)"),), rows[1:]))


def profiled(folder: Path) -> None:
    with open_store(f"sqlite:///{folder / 'sweep.db'}") as store:
        for number, tokens in enumerate((128, 512)):
            add_measured(store, f"d{number}b2c3d4e5f60718", decode=57.9, prompt_tokens=tokens)
        made = [store.get_run(f"d{number}b2c3d4e5f60718") for number in range(2)]
    profile._print(made, False)


def converted(folder: Path) -> None:
    manifest = next(BEFORE.rglob(MANIFEST_FILE))
    name = "SmolLM2-135M-Instruct-onnxruntime-mobile-4bit"
    shutil.copytree(manifest.parent, f"artifacts/{name}")
    convert._print(Artifact.load(Path("artifacts", name)), texts())


def texts() -> TextFigures:
    return TextFigures(
        target="SmolLM2-135M-Instruct-onnxruntime-mobile-4bit", source="SmolLM2-135M-Instruct",
        text="three-men-in-a-boat.txt", text_sha256="a" * 64, window_tokens=512, stride=256, windows=24,
        scored_tokens=6_144, perplexity=Figure(value=37.002, low=33.1, high=41.4),
        source_perplexity=Figure(value=35.16, low=31.5, high=39.3),
        perplexity_ratio=Figure(value=1.0524, low=1.04, high=1.061), mean_kl=Figure(value=0.0551),
    )  # fmt: skip


def evaluated(folder: Path) -> None:
    def score(task: str, metric: str, value: float) -> TaskScore:
        return TaskScore(
            task=task, version="1.0", shots=5, metric=metric, filter="none", value=value, stderr=0.0101,
            n=2376, higher_is_better=True, items_sha256="b" * 64,
        )  # fmt: skip

    figures = TaskFigures(
        target="SmolLM2-135M-Instruct-onnxruntime-mobile-4bit", artifact_sha256="a" * 64, where="SM-S921B",
        scores=[score("arc_easy", "acc", 0.5912), score("high_school_computer_science", "acc_norm", 0.31)],
        means={"problem solving": 0.4506}, settings={}, versions={}, asked=19_008, answered=9_504, seconds=83,
        left_out=["own_rolling word_perplexity,none: inf"],
    )  # fmt: skip
    evaluate._print_tasks(figures)


def needles(folder: Path) -> None:
    scores = [
        NeedleScore(kind=kind, length=length, depth=depth, value=depth if length > 512 else 1.0, n=4)
        for kind in KINDS
        for length in (512, 1024, 2048)
        for depth in (0.0, 0.5, 1.0)
    ]
    figures = NeedleFigures(
        target="SmolLM2-135M-Instruct-onnxruntime-mobile-4bit", artifact_sha256="a" * 64,
        where="adb-R5CT10ABCDE-x7Q9Lm._adb-tls-connect._tcp", scores=scores,
        means=dict.fromkeys(KINDS, 2 / 3), mean=2 / 3, middle=2 / 3, outside=2 / 3,
        trials=4, seed=1, seconds=60,
    )  # fmt: skip
    evaluate._print_needle(figures)


def devices_clean(folder: Path) -> None:
    kept = [
        Kept("artifact", "/data/local/tmp/slm-toolkit/artifacts/aaaaaaaaaaaa", 92_000_000),
        Kept("run", "/data/local/tmp/slm-toolkit/runs/a0b2c3d4e5f60718", 12_000, "its result is not pulled"),
    ]
    names = {"aaaaaaaaaaaa": "SmolLM2-135M-Instruct-onnxruntime-mobile-4bit"}
    device_storage._print("R5CT10ABCDE", kept, names, True)


def models_show(folder: Path) -> None:
    slm("models", "show", "SmolLM2-135M")


def models_compare(folder: Path) -> None:
    slm("models", "compare", "SmolLM2-135M", "Qwen2.5-0.5B")


def doctor_says(folder: Path) -> None:
    said = (
        Finding("host", "adb", "ok", "version 35.0.2 at /usr/lib/android-sdk/platform-tools/adb"),
        Finding("host", "compiler for arm64-v8a", "warn", "none found", "apt-get install g++-aarch64-linux-gnu"),  # noqa: E501
        Finding(
            "R5CT10ABCDE", "space", "fail", "0.1 GB free in /data/local/tmp, where the artifact takes 1.2 GB",
            "Make room, or clean up: slm devices clean --device R5CT10ABCDE",
        ),
    )  # fmt: skip
    doctor._print(list(said))


def devices_watch(folder: Path) -> None:
    readings = Readings(
        unix_ns=0, thermal_status=2, hottest_cpu_celsius=71.4, battery_percent=64, charging=True
    )
    long_serial = "adb-R5CT10ABCDE-x7Q9Lm._adb-tls-connect._tcp"
    busy = "slm profile artifacts/SmolLM2-135M-Instruct-onnxruntime-mobile-4bit --device all"
    seen = [
        Watched("local", None, "device", readings=Readings(unix_ns=0, hottest_cpu_celsius=40.0)),
        Watched(long_serial, "left shelf, slot 3", "device", None, "process 4711", busy, readings),
        Watched("192.168.100.217:5555", None, "unauthorized", "Unlock the phone and allow USB debugging."),
    ]
    # The first line is the time.
    for line in device_watch._table(seen)[1:]:
        print(line.plain)


def recipe_plan(folder: Path) -> None:
    title = "HuggingFaceTB/SmolLM2-135M-Instruct onnxruntime 8da4w g32 hqq"
    takes = StepEstimate(seconds=83, disk_bytes=92_000_000, ram_bytes=1_400_000_000)
    works: Any = [SimpleNamespace(kind=kind) for kind in ("convert", "profile")]
    steps = (
        Step("a", f"convert {title}", works[0], "to do", estimate=takes),
        Step("b", f"profile {title}, pp512 tg128 on 127.0.0.1:40123", works[1], "unknown", estimate=takes),
    )
    recipe_text.print_plan(Plan(recipe=None, steps=steps), None)  # type: ignore[arg-type]


def recipe_summary(folder: Path) -> None:
    place: Any = SimpleNamespace(
        batch=lambda name: Path("/home/user/.local/share/slm-toolkit/recipes/batches") / name
    )
    made = Summary(
        batch="two-backends-20261129-170001", done=7, already=4, runs=("a", "b"), failed=(("x", "y"),)
    )
    recipe_text.print_summary(made, BatchStatus(name="two-backends", steps=()), place)


def study_list(folder: Path) -> None:
    slm("study", "list")


def study_show(folder: Path) -> None:
    slm("study", "show", "latency-overview")


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
        results_regress,
        results_scores,
        compare_two,
        autotuned,
        profiled,
        converted,
        evaluated,
        needles,
        devices_clean,
        models_show,
        models_compare,
        doctor_says,
        devices_watch,
        recipe_plan,
        recipe_summary,
        study_list,
        study_show,
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
