"""Folders in Hugging Face's layout, as ``save_pretrained`` leaves them; shared by tests of several rooms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from toolkit.settings import Settings
from toolkit.sources import resolve


def write_folder(folder: Path, settings: Settings, builtin: str = "llama-tiny") -> dict[str, torch.Tensor]:
    """A folder as ``save_pretrained`` leaves it, with the random model's weights."""
    source = resolve(f"random:{builtin}", settings)
    tensors = {name: source.weights.read(name) for name in source.weights.names()}
    folder.mkdir(parents=True)
    source.config.save_pretrained(folder)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    source.write_tokenizer(folder)
    return tensors


def edit_config(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def shard(folder: Path) -> list[str]:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    weight_map = {}
    for index, name in enumerate(tensors):
        file = f"model-0000{index % 3 + 1}-of-00003.safetensors"
        weight_map[name] = file
    for file in set(weight_map.values()):
        save_file({n: v for n, v in tensors.items() if weight_map[n] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": weight_map})
    )
    return sorted(set(weight_map.values()))
