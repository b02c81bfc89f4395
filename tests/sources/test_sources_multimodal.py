"""Text decoders of checkpoints that also see or hear, against the whole models as transformers runs them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from multimodal_folders import MODELS, write_multimodal
from safetensors.torch import load_file, save_file

from toolkit.errors import SourceError, UnsupportedModel
from toolkit.inference.original import check_reader
from toolkit.settings import Settings
from toolkit.sources import ModelSource, resolve

IDS = torch.arange(3, 123, 7)[None]


def _logits(source: ModelSource) -> torch.Tensor:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(source.config, dtype=torch.float32).eval()
    weights = {name: source.weights.read(name) for name in source.weights.names()}
    lost = model.load_state_dict(weights, strict=False)
    assert not lost.unexpected_keys
    model.tie_weights()
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=IDS, use_cache=False).logits
    return logits


@pytest.mark.parametrize("model_type", MODELS)
def test_the_text_decoder_says_what_the_whole_model_says(
    model_type: str, tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = write_multimodal(tmp_path / "model", model_type)
    source = resolve(str(tmp_path / "model"), settings)
    told = [line for line in capsys.readouterr().err.splitlines() if "the text decoder is taken" in line]
    assert len(told) == 1 and "tensors)" in told[0]
    with torch.no_grad():
        expected = whole(input_ids=IDS, use_cache=False).logits
    torch.testing.assert_close(_logits(source), expected, atol=1e-5, rtol=0)
    # What judges checkpoints that are too large to hold reads one layer of the whole model.
    check_reader(source)


def test_names_of_before_and_since_transformers_5_are_found(tmp_path: Path, settings: Settings) -> None:
    write_multimodal(tmp_path / "model", "llava")
    before = _logits(resolve(str(tmp_path / "model"), settings))
    file = tmp_path / "model" / "model.safetensors"
    tensors = load_file(file)
    for new, old in (
        ("model.language_model.", "language_model.model."),
        ("lm_head", "language_model.lm_head"),
    ):
        tensors = {
            name.replace(new, old, 1) if name.startswith(new) else name: v for name, v in tensors.items()
        }
    save_file(tensors, file, metadata={"format": "pt"})
    assert torch.equal(_logits(resolve(str(tmp_path / "model"), settings)), before)


def test_a_tensor_of_the_decoder_that_nobody_reads_is_refused(tmp_path: Path, settings: Settings) -> None:
    write_multimodal(tmp_path / "model", "qwen2_vl")
    file = tmp_path / "model" / "model.safetensors"
    tensors = load_file(file)
    stored = next(name for name in tensors if name.endswith("layers.1.mlp.up_proj.weight"))
    tensors[stored.replace("layers.1", "layers.2")] = tensors[stored].clone()
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(SourceError, match="the weights hold 3 layers, the config says 2"):
        resolve(str(tmp_path / "model"), settings)


def test_adapters_of_phi_4_multimodal_for_images_and_sound_are_left_out(
    tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import Phi3Config, Phi3ForCausalLM

    sizes = {key: value for key, value in MODELS["llava"]["text_config"].items() if key != "model_type"}
    config = Phi3Config(**sizes, tie_word_embeddings=True)
    torch.manual_seed(0)
    plain = Phi3ForCausalLM(config).eval()
    folder = tmp_path / "model"
    config.save_pretrained(folder)
    fields = (folder / "config.json").read_text()
    (folder / "config.json").write_text(
        fields.replace(
            '"model_type": "phi3"', '"model_type": "phi4mm", "auto_map": {}, "embd_layer": {"a": 1}'
        )
    )
    tensors = {}
    for name, values in plain.state_dict().items():
        if name == "lm_head.weight":
            continue
        module = name.removesuffix(".weight")
        if not module.endswith("_proj"):
            tensors[name] = values.clone()
            continue
        tensors[f"{module}.base_layer.weight"] = values.clone()
        for sense in ("vision", "speech"):
            tensors[f"{module}.lora_A.{sense}.weight"] = torch.ones(4, values.shape[1])
            tensors[f"{module}.lora_B.{sense}.weight"] = torch.ones(values.shape[0], 4)
    tensors["model.embed_tokens_extend.image_embed.glb_GN"] = torch.ones(1, 1, 8)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    source = resolve(str(folder), settings)
    told = capsys.readouterr().err
    assert "without 32 tensors of adapters for images and sound" in told
    assert "without model.embed_tokens_extend (1 tensors)" in told
    with torch.no_grad():
        expected = plain(input_ids=IDS, use_cache=False).logits
    torch.testing.assert_close(_logits(source), expected, atol=1e-5, rtol=0)
    check_reader(source)
    # An adapter for text would change what the decoder says.
    tensors["model.layers.0.mlp.down_proj.lora_A.default.weight"] = torch.ones(4, 96)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SourceError, match="adapter"):
        resolve(str(folder), settings)


def test_a_model_that_transformers_cannot_build_is_refused(tmp_path: Path, settings: Settings) -> None:
    config = tmp_path / "config.json"
    # Its constructor reads a map of pictures' tokens, which this config lacks.
    config.write_text('{"model_type": "emu3", "bos_token_id": 1}')
    with pytest.raises(UnsupportedModel, match="'emu3' model that holds the text decoder 'emu3_text_model'"):
        resolve(f"random:{config}", settings)
