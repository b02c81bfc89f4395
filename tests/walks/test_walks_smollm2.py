"""The README's three tasks with the model that it speaks of: nothing is replaced but folder and serial.

Virtual phones stand for real ones. Schemes, engines, devices and repetitions are those that stand there.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from stranger import ROOT, Stranger, commands

from toolkit.settings import Settings
from toolkit.sources import resolve

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3 * 3600)]
MODEL = "SmolLM2-135M-Instruct"


def runs_of(stranger: Stranger, where: str = "status = 'ok'") -> list[dict[str, object]]:
    listed = json.loads(stranger.types(f'slm results list --json --where "{where}"'))
    assert isinstance(listed, list)
    return listed


def test_a_fine_tuned_model_comes_to_a_phone(stranger: Stranger, serial: str) -> None:
    save_demo_model(stranger)
    typed = commands("A fine-tuned model, on a phone")
    assert len(typed) <= 5
    # What people read: results and what is told beside them, the verdict for one.
    said = {command.split()[1]: stranger.types(f"{command} 2>&1", {"SERIAL": serial}) for command in typed}
    # Its weights lie on another grid of 4 bits already, so that this one's verdict may be any of the three.
    assert re.search(r"verdict: (good|usable|damaged) - ", said["convert"]), said["convert"]
    [run] = runs_of(stranger)
    assert run["device_serial"] == serial
    assert len(said["generate"].split()) > 5
    assert MODEL not in said["report"] and serial in (stranger.folder / "report.html").read_text()


def test_two_engines_are_compared(stranger: Stranger) -> None:
    (stranger.folder / "recipes").symlink_to(ROOT / "recipes")
    typed = commands("ONNX Runtime or ExecuTorch, and which scheme?")
    assert len(typed) <= 2
    _, compared = [stranger.types(command) for command in typed]
    # Two engines, two schemes, this machine and a virtual phone, twice.
    assert len(runs_of(stranger)) == 16
    assert "onnxruntime" in compared and "executorch" in compared


def test_the_survey_is_redone_by_its_own_protocol(stranger: Stranger) -> None:
    [typed] = commands("The survey, redone")
    # Two of the survey's 135 to 700 million parameters; tokens, context and pauses are the survey's.
    both = {"--models survey": "--models SmolLM2-135M,SmolLM2-360M"}
    assert "--protocol" not in typed and "--models survey" in typed
    # Nobody answers there.
    stranger.environ["HF_ENDPOINT"] = "http://127.0.0.1:1"
    stranger.types(typed, both)
    runs = runs_of(stranger)
    assert {(run["prompt_tokens"], run["generate_tokens"]) for run in runs} == {(50, 50)}
    [report] = Path(stranger.environ["HOME"]).rglob("report.html")
    page = report.read_text()
    assert all(said in page for said in ("SmolLM2-135M", "SmolLM2-360M", "Jetson Orin NX"))


def test_every_night_three_phones_are_compared_with_the_baseline(stranger: Stranger) -> None:
    begun, measured, checked = commands("Every night, in CI")
    stranger.types(f"{begun} --device virtual:3")
    # Of virtual phones on a shared machine that it judges is all that can be asked.
    generous = {"10%": "99%"}
    stranger.types(measured)
    stranger.types(measured)
    assert "regression check" in stranger.types(checked, generous)
    runs = runs_of(stranger)
    assert len({run["device_serial"] for run in runs}) == 3


def save_demo_model(stranger: Stranger) -> None:
    """The demo model as training leaves it: a folder of safetensors, in 16 bits."""
    settings = Settings.from_environment()
    source = resolve(MODEL, settings)
    folder = stranger.folder / "my-model"
    folder.mkdir()
    source.config.save_pretrained(folder)
    tensors = {name: source.weights.read(name).to(torch.float16) for name in source.weights.names()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    source.write_tokenizer(folder)
