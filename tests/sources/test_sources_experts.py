"""Checkpoints that store each expert by itself, against transformers' own reading of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from toolkit.errors import SourceError
from toolkit.settings import Settings
from toolkit.sources.folder_source import from_folder

CONFIGS = Path(__file__).parents[1] / "families" / "configs"


def saved(name: str, folder: Path) -> dict[str, torch.Tensor]:
    fields = json.loads((CONFIGS / f"{name}.json").read_text())
    config = AutoConfig.for_model(fields.pop("model_type"), **fields)
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for buffer in model.buffers():
        if buffer.is_floating_point() and buffer.dim():
            buffer.normal_()
    model.save_pretrained(folder)
    return dict(model.state_dict())


@pytest.mark.parametrize(
    ("name", "stored"),
    [("mixtral", ".experts.3.w1.weight"), ("deepseek_v3", ".experts.3.gate_proj.weight")],
)
def test_single_experts_are_read_as_transformers_reads_them(name: str, stored: str, tmp_path: Path) -> None:
    state = saved(name, tmp_path / "model")
    assert any(key.endswith(stored) for key in load_file(tmp_path / "model" / "model.safetensors"))
    source = from_folder(tmp_path / "model", Settings(tmp_path, tmp_path, "sqlite://"))
    assert sorted(source.weights.names()) == sorted(state)
    for key in source.weights.names():
        assert source.weights.shape(key) == tuple(state[key].shape)
        assert torch.equal(source.weights.read(key), state[key]), key


def test_a_missing_expert_is_refused(tmp_path: Path) -> None:
    saved("mixtral", tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    tensors = load_file(file)
    del tensors["model.layers.1.block_sparse_moe.experts.2.w2.weight"]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(SourceError, match=r"model\.layers\.1\.mlp\.experts\.down_proj"):
        from_folder(tmp_path / "model", Settings(tmp_path, tmp_path, "sqlite://"))
