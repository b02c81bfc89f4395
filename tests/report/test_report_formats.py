from __future__ import annotations

from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from sample_runs import HOST, SCHEMES, artifact, manifest, run_of
from stored_evaluations import EVALUATION, SCORE

from toolkit.errors import BadFilter, UsageError
from toolkit.report import BatchStatus, BatchStep, build_report
from toolkit.report.library import javascript
from toolkit.settings import Settings
from toolkit.store import Store
from toolkit.store.evaluations import add_evaluation
from toolkit.store.measurements import measurement
from toolkit.store.rooflines import add_roofline
from toolkit.store.rows import DeviceRoofline, Score, StoredEvaluation

HOSTILE = "evil/</script><script>alert(1)</script><img src=x onerror=alert(2)>|`*"


def test_the_page_holds_everything_and_refers_to_nothing(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    page = build_report(store, tmp_path / "r.html", settings).read_text()
    page = page.replace(javascript(settings.cache_dir), "")
    assert page.count('<tr class="run') == 48
    assert "2 of 48 runs did not end well" in page
    for outside in ("<script src", '<link rel="stylesheet', "@import", "<iframe"):
        assert outside not in page
    assert "default-src 'none'" in unescape(page) and "unsafe-eval" not in page


def test_markdown_names_conditions_and_marks_emulated_devices(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    text = build_report(store, tmp_path / "r.md", settings, format_name="md").read_text()
    emulated = [line for line in text.splitlines() if "emulator-5601" in line]
    assert emulated and all("emulated" in line.split("emulator-5601", 1)[1] for line in emulated)
    captions = [line for line in text.splitlines() if line.startswith("**") and " on " in line]
    assert captions and all("512 prompt tokens" in line and "4 threads" in line for line in captions)


def test_runs_are_shares_of_their_device_s_roofline_where_it_is_known(
    empty_store: Store, settings: Settings, tmp_path: Path
) -> None:
    made = artifact("tiny", 1_000_000, SCHEMES[1], "onnxruntime")
    run = run_of(made, HOST, number=1, decode=100.0)
    work = {"decode_weights_bytes": 50_000_000, "prefill_flops_per_token": 1_000_000}
    empty_store.add_run(run, {**manifest(SCHEMES[1]), "work": work, "architecture": {"layers": []}})
    share = {"Prefill % of roof": "-", "Decode % of roof": "-"}
    assert shown(empty_store, settings, tmp_path) == share
    points = {"threads": [4], "read_bytes_per_second": [10**10], "int8_ops_per_second": [10**9]}
    add_roofline(
        empty_store,
        DeviceRoofline(
            device_key=HOST.key,
            created_unix_ns=1,
            runner_version="0.1.0",
            kernels="own:avx2",
            buffer_bytes=1 << 28,
            passes=7,
            points={**points, "float_ops_per_second": [1]},
        ),
    )
    decode, prefill = run.run.decode_tokens_per_second, run.run.prefill_tokens_per_second
    assert decode is not None and prefill is not None
    share = {"Prefill % of roof": f"{prefill / 10:.1f}", "Decode % of roof": f"{decode / 2:.1f}"}
    assert shown(empty_store, settings, tmp_path) == share


def shown(store: Store, settings: Settings, folder: Path) -> dict[str, str]:
    """What the first run's row says of the roofline."""
    lines = build_report(store, folder / "r.md", settings, format_name="md").read_text().splitlines()
    heading = next(number for number, line in enumerate(lines) if "Decode % of roof" in line)
    rows = ([cell.strip() for cell in lines[number].split("|")] for number in (heading, heading + 2))
    return {title: cell for title, cell in zip(*rows, strict=True) if "roof" in title}


def test_the_filter_chooses_the_runs_and_is_named(store: Store, settings: Settings, tmp_path: Path) -> None:
    where = "not emulated and backend = 'executorch'"
    text = build_report(store, tmp_path / "r.md", settings, format_name="md", where=where).read_text()
    assert "onnxruntime" not in text and "emulator" not in text and "Runs where not emulated" in text


def test_only_the_newest_runs_are_shown_and_the_report_says_so(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    page = build_report(store, tmp_path / "r.html", settings, limit=10).read_text()
    assert page.count('<tr class="run') == 10 and "Only the newest 10 of 48." in page


@pytest.mark.parametrize("name", ["html", "md"])
def test_hostile_names_stay_text(name: str, empty_store: Store, settings: Settings, tmp_path: Path) -> None:
    made = artifact(HOSTILE, 1_000_000, SCHEMES[1], "onnxruntime")
    empty_store.add_run(run_of(made, HOST, number=1, decode=100.0), manifest(SCHEMES[1]))
    output = tmp_path / f"r.{name}"
    text = build_report(empty_store, output, settings, format_name=name, title="</title><b>").read_text()
    text = text.replace(javascript(settings.cache_dir), "")
    assert "<script>alert" not in text and "<img" not in text and "</title><b>" not in text


@pytest.mark.parametrize("name", ["html", "md"])
def test_an_empty_store_still_gives_a_report(
    name: str, empty_store: Store, settings: Settings, tmp_path: Path
) -> None:
    assert build_report(empty_store, tmp_path / "r", settings, format_name=name).stat().st_size > 0


def test_a_batch_is_counted_and_its_failures_explained(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    batch = BatchStatus(
        name="two-backend",
        steps=(
            BatchStep(name="convert a", kind="convert", state="done", seconds=2.5),
            BatchStep(name="convert b", kind="convert", state="failed", detail="out of memory"),
        ),
    )
    for name in ("html", "md"):
        text = build_report(
            store, tmp_path / "r", settings, format_name=name, batch=batch, limit=6
        ).read_text()
        assert "2 steps: 1 done now, 1 failed." in text and "out of memory" in text


def test_bad_requests_are_errors_before_anything_is_written(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="Unknown report format"):
        build_report(store, tmp_path / "r", settings, format_name="htlm")
    with pytest.raises(BadFilter):
        build_report(store, tmp_path / "r", settings, where="colour = 'red'")
    with pytest.raises(UsageError, match="cannot be written"):
        build_report(store, tmp_path / "no" / "r.md", settings, format_name="md")
    assert list(tmp_path.iterdir()) == []


def test_energy_is_shown_where_it_was_measured(
    empty_store: Store, settings: Settings, tmp_path: Path
) -> None:
    made = artifact("a/model", 1_000_000, SCHEMES[1], "onnxruntime")
    empty_store.add_run(run_of(made, HOST, number=1, decode=100.0), manifest(SCHEMES[1]))
    without = build_report(empty_store, tmp_path / "r.md", settings, format_name="md").read_text()
    assert "## Energy" not in without
    measured = replace(
        run_of(made, HOST, number=2, decode=100.0),
        measurements=[measurement("decode_joules_per_token", 0.0321)],
    )
    empty_store.add_run(measured, manifest(SCHEMES[1]))
    text = build_report(empty_store, tmp_path / "r.md", settings, format_name="md").read_text()
    assert "Energy per generated token, joules" in text and "| 0.0321 |" in text
    assert "Energy per prompt token, joules" not in text


def scored(store: Store, identity: str, sha256: str | None, model: str, value: float, created: int) -> None:
    evaluation = replace(
        EVALUATION, id=identity, created_unix_ns=created, name=model, model=model, artifact_sha256=sha256
    )
    if sha256 is None:
        evaluation = replace(evaluation, backend="transformers", quantization="fp32")
    scores = [
        replace(SCORE, metric=metric, value=value + more)
        for metric, more in (("acc", 0.0), ("acc_norm", 0.1))
    ]
    text = [
        Score("text:book", "1", 0, metric, "none", value + more, None, 100, False, "c" * 64)
        for metric, more in (("perplexity", 9.0), ("mean_kl", 0.001))
    ]
    add_evaluation(store, StoredEvaluation(evaluation, (*scores, *text)), [])


@pytest.mark.parametrize("name", ["html", "md"])
def test_scores_of_the_shown_models_have_a_table(
    name: str, empty_store: Store, settings: Settings, tmp_path: Path
) -> None:
    def report(where: str | None) -> str:
        output = tmp_path / f"r.{name}"
        text = build_report(empty_store, output, settings, format_name=name, where=where).read_text()
        return text.replace(javascript(settings.cache_dir), "")

    made = artifact("a/model", 1_000_000, SCHEMES[1], "onnxruntime")
    empty_store.add_run(run_of(made, HOST, number=1, decode=100.0), manifest(SCHEMES[1]))
    assert "Asked on" not in report(None)
    scored(empty_store, "e1", made.sha256, "a/model", 0.5101, created=1)
    scored(empty_store, "e2", made.sha256, "a/model", 0.5202, created=2)
    scored(empty_store, "e3", None, "a/model", 0.5303, created=3)
    scored(empty_store, "e4", "d" * 64, "other/one", 0.5404, created=4)
    text = report(None)
    order = [text.index(f"0.{value}") for value in ("5404", "5303", "5202")]
    assert order == sorted(order), "the best first"
    assert "0.5101" not in text, "the latest alone"
    assert "0.6202" not in text, "one metric stands for a task"
    assert "9.5202" in text and "0.5212" in text, "all figures over a text"
    chosen = report("model contains 'a/model'")
    assert "0.5202" in chosen and "0.5303" in chosen and "0.5404" not in chosen


def test_captions_name_gate_and_power(empty_store: Store, settings: Settings, tmp_path: Path) -> None:
    made = artifact("a/model", 1_000_000, SCHEMES[1], "onnxruntime")
    gated = run_of(
        made,
        HOST,
        number=1,
        decode=100.0,
        gate="strict",
        gate_max_thermal_status=0,
        gate_max_celsius=40.0,
        gate_max_cpu_busy=0.2,
        power_source="battery",
    )
    empty_store.add_run(gated, manifest(SCHEMES[1]))
    text = build_report(empty_store, tmp_path / "r.md", settings, format_name="md").read_text()
    assert "power battery, gate strict (thermal status ≤ 0; CPU ≤ 40.0 °C; CPU busy ≤ 0.2)" in text
