"""A tiny Gemma 3 whose layers differ in key-value heads as well as in windows and rotary embeddings."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from toolkit.models.catalogue.catalogue import shipped
from toolkit.settings import Settings
from toolkit.sources import ModelSource, resolve

KV_HEADS = (1, 4, 2)
WINDOWS = (16, 16, None)
HEADS, HEAD_DIM, INTERMEDIATE = 4, 16, 128


def unlike_layers(folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> ModelSource:
    """The model with random weights; transformers builds it while the patch lasts."""
    from transformers.models.gemma3 import modeling_gemma3

    class OwnHeads(modeling_gemma3.Gemma3Attention):  # type: ignore[misc]
        def __init__(self, config: Any, layer_idx: int) -> None:
            own = copy.deepcopy(config)
            own.num_key_value_heads = config.kv_heads_by_layer[layer_idx]
            super().__init__(own, layer_idx)

    monkeypatch.setattr(modeling_gemma3, "Gemma3Attention", OwnHeads)
    config = {**(shipped()["gemma3-tiny"].config or {}), "kv_heads_by_layer": KV_HEADS}
    file = folder / "unlike" / "config.json"
    file.parent.mkdir()
    file.write_text(json.dumps(config))
    return resolve(f"random:{file}", settings)
