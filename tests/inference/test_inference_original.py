"""The judge does not share our reader: whatever that gets wrong is found, on folders and GGUF files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gguf_files import GGUF_ARCHITECTURES, write_model
from model_folders import write_folder

from toolkit.capture.skeleton import build_skeleton
from toolkit.errors import ParityFailed
from toolkit.inference import original, reference
from toolkit.settings import Settings
from toolkit.sources import ModelSource, resolve

CONFIGS = Path(__file__).parents[1] / "families" / "configs"
IDS = [[5, 9, 300, 41, 7, 8, 9, 10]]


class Misread:
    """A reader that gives one parameter wrongly: neighbouring rows swapped."""

    def __init__(self, source: ModelSource, name: str) -> None:
        self._weights, self._name = source.weights, name
        self.names, self.shape = source.weights.names, source.weights.shape

    def read(self, name: str) -> torch.Tensor:
        values = self._weights.read(name)
        return values.flip(0) if name == self._name else values

    def read_blocks(self, name: str) -> None:
        return None


def written(kind: str, builtin: str, folder: Path, settings: Settings) -> ModelSource:
    if kind == "folder":
        write_folder(folder / "m", settings, builtin)
        return resolve(str(folder / "m"), settings)
    file = folder / "m.gguf"
    write_model(file, resolve(f"random:{builtin}", settings), GGUF_ARCHITECTURES[builtin], matrix_type="Q8_0")
    return resolve(str(file), settings)


@pytest.mark.parametrize("builtin", GGUF_ARCHITECTURES)
@pytest.mark.parametrize("kind", ["gguf", "folder"])
def test_a_right_reader_agrees_with_the_makers_code(
    kind: str, builtin: str, tmp_path: Path, settings: Settings
) -> None:
    original.check_reader(written(kind, builtin, tmp_path, settings))


@pytest.mark.parametrize(("kind", "builtin"), [("gguf", "llama-tiny"), ("folder", "qwen2-tiny")])
def test_a_misread_tensor_is_found_whichever_it_is(
    kind: str, builtin: str, tmp_path: Path, settings: Settings
) -> None:
    source = written(kind, builtin, tmp_path, settings)
    sampled = [name for name in source.weights.names() if kind == "gguf" or ".layers.1." not in name]
    for name in sampled:
        with pytest.raises(ParityFailed, match=name):
            original.check_reader(replace(source, weights=Misread(source, name)))


@pytest.mark.parametrize("name", ["deepseek_v3", "jamba"])
def test_a_layer_of_every_kind_is_compared(name: str, tmp_path: Path, settings: Settings) -> None:
    """The first layer of both has no experts."""
    write_folder(tmp_path / "m", settings, str(CONFIGS / f"{name}.json"))
    source = resolve(str(tmp_path / "m"), settings)
    original.check_reader(source)
    experts = next(name for name in source.weights.names() if ".experts." in name)
    with pytest.raises(ParityFailed, match="experts"):
        original.check_reader(replace(source, weights=Misread(source, experts)))


def test_a_small_folder_is_judged_by_the_model_that_transformers_loads(
    tmp_path: Path, settings: Settings
) -> None:
    source = written("folder", "llama-tiny", tmp_path, settings)
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tmp_path / "m", dtype=torch.float32)
    with torch.no_grad():
        expected = model(torch.tensor(IDS)).logits
    wrong = replace(source, weights=Misread(source, "model.layers.1.mlp.up_proj.weight"))
    torch.testing.assert_close(reference.reference_logits(wrong, None, {}, IDS), expected)


def test_a_large_folder_is_judged_by_a_sample(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = written("folder", "llama-tiny", tmp_path, settings)
    whole = reference.reference_logits(source, None, {}, IDS)
    monkeypatch.setattr(original, "WHOLE_PARAMETERS", 0)
    tied = {"lm_head.weight": "model.embed_tokens.weight"}
    torch.testing.assert_close(
        reference.reference_logits(source, build_skeleton(source.config), tied, IDS), whole
    )


@pytest.mark.filterwarnings("ignore")
def test_experts_of_any_width_are_judged(tmp_path: Path, settings: Settings) -> None:
    from transformers import AutoModelForCausalLM

    # Torch's grouped products refuse rows of 250 floats.
    source = resolve(f"random:{CONFIGS / 'mixtral-odd.json'}", settings)
    skeleton = build_skeleton(source.config)
    streamed = reference.reference_logits(source, skeleton, {}, IDS)
    model = AutoModelForCausalLM.from_config(source.config, dtype=torch.float32)
    model.load_state_dict({name: source.weights.read(name) for name in source.weights.names()})
    model.save_pretrained(tmp_path / "m")
    whole = reference.reference_logits(resolve(str(tmp_path / "m"), settings), skeleton, {}, IDS)
    torch.testing.assert_close(whole, streamed, atol=1e-4, rtol=1e-4)
