"""Limits that an artifact must keep: read before any work, and compared with what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from own_tasks import write_tasks
from typer.testing import CliRunner

from toolkit import api
from toolkit.artifact import Artifact
from toolkit.cli.main import app
from toolkit.errors import RequirementFailed, TaskDataMissing, UsageError
from toolkit.evaluate.requirements import Requirement, check_readable, parse_requirement
from toolkit.settings import Settings


@pytest.mark.parametrize(
    ("text", "figure", "source", "met"),
    [
        ("perplexity_ratio <= 1.05", 1.05, None, True),
        ("perplexity_ratio <= 1.05", 1.0501, None, False),
        ("mean_kl<0.1", float("nan"), None, False),
        ("arc_easy >= 0.95x source", 0.57, 0.6, True),
        ("arc_easy >= 0.95 x source", 0.56, 0.6, False),
        ("top1_agreement > 0.9", 0.91, None, True),
        ("mean_kl <= 1e-3", 0.0009, None, True),
        ("mean_kl <= 1E-3", 0.0011, None, False),
        ("arc_easy >= .95x source", 0.57, 0.6, True),
        ("arc_easy >= 1.x source", 0.59, 0.6, False),
    ],
)
def test_a_limit_is_met_or_not(text: str, figure: float, source: float | None, met: bool) -> None:
    limit = parse_requirement(text)
    assert limit.met_by(figure, source) == met
    assert parse_requirement(str(limit)) == limit


@given(st.floats(min_value=0, allow_nan=False, allow_infinity=False), st.booleans())
def test_a_limit_is_printed_as_it_is_read(value: float, of_source: bool) -> None:
    limit = Requirement("arc_easy", ">=", value, of_source)
    assert parse_requirement(str(limit)) == limit


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("arc_easy", "no limit"),
        ("arc_easy == 1", "no limit"),
        ("arc_easy >= many", "no limit"),
        ("arc_easy >= .", "no limit"),
        ("arc_easy >= 1e", "no limit"),
        ("mean_kl <= 0.1", "--check-text"),
    ],
)
def test_what_is_no_limit_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=f"(?s){words}"):
        check_readable([text], with_text=False)


def test_what_is_relative_already_takes_no_source() -> None:
    with pytest.raises(UsageError, match="against the source already"):
        check_readable(["mean_kl <= 2x source"], with_text=True)


def test_a_conversion_that_misses_its_limit_ends_with_an_error_and_its_figure(
    original: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLM_CACHE_DIR", str(settings.cache_dir))
    text = tmp_path / "text"
    text.write_text("The river had risen in the night, and the meadow was a sheet of water.\n" * 5)
    asked = ["convert", str(original), "--quant", "fp32", "--no-parity-check", "--check-text", str(text)]
    kept = CliRunner().invoke(app, [*asked, "-o", str(tmp_path / "a"), "--require", "mean_kl <= 0.001"])
    assert kept.exit_code == 0, kept.output
    assert "top-1 agreement: 100.00%" in kept.stdout
    asked += ["-o", str(tmp_path / "b"), "--require", "perplexity <= 0.5x source"]
    missed = CliRunner().invoke(app, asked)
    assert isinstance(missed.exception, RequirementFailed)
    assert "perplexity <= 0.5x source" in str(missed.exception)
    assert (tmp_path / "b" / "manifest.json").is_file()


def test_a_task_can_be_a_limit(onnx: Artifact, original: Path, settings: Settings, tmp_path: Path) -> None:
    task = write_tasks(tmp_path, items=4) / "own_letters.yaml"
    limits = [f"{task} >= 1x source", f"{task} >= 0"]
    said = api.check_requirements(onnx, limits, source=str(original), settings=settings)
    assert len(said) == 2
    with pytest.raises(RequirementFailed, match="own_letters"):
        api.check_requirements(onnx, [f"{task} > 1"], source=str(original), settings=settings)


def test_what_cannot_be_measured_is_said_before_anything_is_converted(tmp_path: Path) -> None:
    task = write_tasks(tmp_path / "tasks", items=2) / "own_letters.yaml"
    (tmp_path / "tasks" / "items.jsonl").unlink()
    asked = ["convert", "random:llama-tiny", "-o", str(tmp_path / "a")]
    for flags, error in (
        (("--check-text", str(tmp_path / "nowhere.txt")), UsageError),
        (("--require", f"{task} >= 0.5"), TaskDataMissing),
    ):
        done = CliRunner().invoke(app, [*asked, *flags])
        assert isinstance(done.exception, error), done.output
        assert not (tmp_path / "a").exists()
