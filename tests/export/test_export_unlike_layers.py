"""Layers that differ in key-value heads and windows, on ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from conversions import Convert
from transformers_reference import PREFILL, STEPS, check_prefill_and_decode
from unlike_layers import HEAD_DIM, HEADS, INTERMEDIATE, KV_HEADS, WINDOWS, unlike_layers

from toolkit.engines.onnxruntime.session import OnnxDecoder
from toolkit.models.layers import attention_of, states_bytes
from toolkit.settings import Settings


def test_layers_with_other_heads_and_windows_say_what_transformers_says(
    tmp_path: Path, settings: Settings, convert_model: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = unlike_layers(tmp_path, settings, monkeypatch)
    artifact = convert_model(source)
    parity = artifact.manifest.parity
    assert parity is not None and parity.passed
    check_prefill_and_decode(source, lambda: OnnxDecoder(artifact.path / "model.onnx", PREFILL + STEPS))

    layers = artifact.manifest.architecture.layers
    assert tuple(one.kv_heads for one in attention_of(layers)) == KV_HEADS
    assert tuple(one.window for one in attention_of(layers)) == WINDOWS
    assert {(one.heads, one.head_dim, one.rotary_dim) for one in attention_of(layers)} == {
        (HEADS, HEAD_DIM, HEAD_DIM)
    }
    for layer in layers:
        feed_forward = layer.feed_forward
        assert feed_forward is not None
        assert (feed_forward.kind, feed_forward.intermediate_size) == ("gated", INTERMEDIATE)
        assert feed_forward.activation == "gelu_tanh"
    # Keys and values of 1 + 4 + 2 heads, 4 bytes each.
    assert states_bytes(layers, 100) == 2 * (1 + 4 + 2) * HEAD_DIM * 100 * 4
    model = onnx.load(artifact.path / "model.onnx", load_external_data=False)
    heads = {
        item.name: item.type.tensor_type.shape.dim[1].dim_value
        for item in model.graph.input
        if item.name.startswith("past_key_values.")
    }
    assert heads == {
        f"past_key_values.{layer}.{half}": count
        for layer, count in enumerate(KV_HEADS)
        for half in ("key", "value")
    }
