"""Changes to a model's folder, and what transformers reads from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]
Change = Callable[[Path], None]
SINGLE = "model.safetensors"
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


def loaded_by_transformers(folder: Path) -> Tensors:
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    state: Tensors = model.state_dict()
    return state


def rewrite(folder: Path, change: Callable[[Tensors], Tensors]) -> None:
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def other_head(tensors: Tensors) -> Tensors:
    return tensors | {HEAD: tensors[EMBEDDING].flip(0)}


def put_config(folder: Path, name: str, **fields: Any) -> None:
    (folder / name).write_text(json.dumps(fields))
