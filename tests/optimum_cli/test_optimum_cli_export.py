"""`optimum-cli export slm` is found by optimum and asks for the same as `slm convert`."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest
from optimum.commands.export.base import ExportCommand
from optimum.commands.optimum_cli import load_optimum_namespace_cli_commands

from toolkit.cli.optimum_export import SlmExportCommand, convert
from toolkit.errors import UnsupportedModel, UsageError
from toolkit.export.request import ConvertRequest
from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.sources.tasks import check_task, check_task_name, task_of


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    SlmExportCommand.parse_args(made)
    return made


def test_optimum_finds_the_command_below_its_own_export() -> None:
    assert (SlmExportCommand, ExportCommand) in load_optimum_namespace_cli_commands()


def test_every_option_of_a_conversion_is_an_argument() -> None:
    known = {action.dest for action in parser()._actions}
    wanted = {field.name for field in ConvertRequest.options() if field.option.flags is not None}
    assert wanted <= known


def test_it_makes_what_slm_convert_makes(tmp_path: Path) -> None:
    output = tmp_path / "artifact"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "optimum.commands.optimum_cli", "export", "slm"),
            *("--model", "random:llama-tiny", "--quant", "8da8w", "--group-size", "0", "--asymmetric"),
            *("--no-parity-check", "--task", "causal-lm", str(output)),
        ],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "verdict: none: not compared" in done.stderr
    asked = ConvertRequest.of(
        model="random:llama-tiny", quant="8da8w", group_size=0, symmetric=False, parity_check=False
    )
    assert json.loads((output / "manifest.json").read_text())["request"] == asked.recorded()


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("LlamaForSequenceClassification", "text-classification"),
        ("BertForMaskedLM", "fill-mask"),
        ("T5ForConditionalGeneration", "text2text-generation"),
        ("WhisperForConditionalGeneration", "automatic-speech-recognition"),
    ],
)
def test_a_checkpoint_of_another_task_is_refused_with_its_name(name: str, task: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=task):
        check_task({"architectures": [name]}, subject="x")
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "llama", "architectures": [name], "vocab_size": 64})
    )
    with pytest.raises(UnsupportedModel, match=task):
        resolve(str(tmp_path), Settings.from_environment())


def test_what_generates_text_or_does_not_say_passes() -> None:
    for names in ([], ["LlamaForCausalLM"], ["NobodyKnowsThis"], ["BertForMaskedLM", "GPT2LMHeadModel"]):
        check_task({"architectures": names}, subject="x")
    assert task_of({"architectures": ["LlamaModel"]}) == ("feature-extraction", "LlamaModel")
    check_task({"architectures": ["LlamaModel"]}, subject="x", headless=True)
    with pytest.raises(UnsupportedModel, match="feature-extraction"):
        check_task({"architectures": ["LlamaModel"]}, subject="x")


def test_another_task_that_is_asked_for_is_refused(tmp_path: Path) -> None:
    for task in (None, "text-generation", "causal-lm", "text-generation-with-past"):
        check_task_name(task)
    given = parser().parse_args(["-m", "random:llama-tiny", "--task", "fill-mask", str(tmp_path / "x")])
    with pytest.raises(UsageError, match="fill-mask"):
        convert(vars(given))
    assert not (tmp_path / "x").exists()
