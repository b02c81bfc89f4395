"""Manifests of earlier versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from toolkit.artifact import Artifact
from toolkit.errors import NotAnArtifact
from toolkit.models.layers import attention_of, states_bytes

_PLAIN = {"scheme": "fp32", "group_size": None, "symmetric": True, "algorithm": "none"}
# As version 0.1.0 wrote it before layers were described one by one.
_FIRST: dict[str, Any] = {
    "schema": "slm-artifact/1",
    "name": "mistral-tiny-onnx-fp32",
    "created_utc": "2026-01-01T00:00:00+00:00",
    "source": {"kind": "random", "id": "random:mistral-tiny", "revision": None, "files": []},
    "architecture": {
        "model_type": "mistral",
        "layers": 2,
        "hidden_size": 64,
        "intermediate_size": 128,
        "heads": 4,
        "kv_heads": 2,
        "head_dim": 16,
        "vocab_size": 512,
        "max_positions": 256,
        "sliding_window": 16,
        "tied_embeddings": False,
        "unique_parameters": 139_584,
        "stored_parameters": 139_584,
    },
    "backend": {"name": "onnxruntime", "version": "1.31.0", "opset": 21},
    "quantization": {
        "preset": None,
        "linear": _PLAIN,
        "embedding": _PLAIN,
        "lm_head": _PLAIN,
        "overrides": {},
    },
    "context_length": 256,
    "logits": "last",
    "model_file": "model.onnx",
    "tokenizer_files": [],
    "chat_template_file": None,
    "files": [],
    "parity": None,
    "greedy_reference": None,
    "conversion": {"seconds": 1.0, "peak_rss_bytes": 1, "capture_cached": False, "stage_seconds": {}},
    "tools": {},
    "recipe_sha256": None,
}


def written(folder: Path, manifest: dict[str, Any]) -> Path:
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_the_first_schema_is_read_as_layers_that_are_alike(tmp_path: Path) -> None:
    architecture = Artifact.load(written(tmp_path, _FIRST)).manifest.architecture
    assert len(architecture.layers) == 2
    for attention in attention_of(architecture.layers):
        assert (attention.heads, attention.kv_heads, attention.head_dim) == (4, 2, 16)
        assert attention.window == 16
        assert attention.rotary_dim is None, "it was not told"
    # 2 layers x keys and values x 2 heads x 16 x 4 bytes.
    assert states_bytes(architecture.layers, 1) == 2 * 2 * 2 * 16 * 4
    feed_forward = architecture.layers[0].feed_forward
    assert feed_forward is not None
    assert (feed_forward.kind, feed_forward.intermediate_size) == ("unknown", 128)


def test_what_was_read_is_written_as_it_would_be_today(tmp_path: Path) -> None:
    manifest = Artifact.load(written(tmp_path, _FIRST)).manifest
    again = json.loads(manifest.model_dump_json(by_alias=True))
    assert type(manifest).model_validate(again) == manifest


@pytest.mark.parametrize("missing", ["heads", "kv_heads", "head_dim"])
def test_a_size_that_is_missing_is_refused(missing: str, tmp_path: Path) -> None:
    architecture = {key: value for key, value in _FIRST["architecture"].items() if key != missing}
    with pytest.raises(NotAnArtifact, match="architecture"):
        Artifact.load(written(tmp_path, _FIRST | {"architecture": architecture}))


def test_a_schema_of_tomorrow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAnArtifact, match="slm-artifact/3"):
        Artifact.load(written(tmp_path, _FIRST | {"schema": "slm-artifact/3"}))
