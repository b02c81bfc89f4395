"""Layers that differ in key-value heads and windows, on ExecuTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from transformers_reference import check_prefill_and_decode
from unlike_layers import HEAD_DIM, KV_HEADS, WINDOWS, unlike_layers

from toolkit.artifact import Artifact
from toolkit.engines.executorch.session import ExecutorchDecoder
from toolkit.models.layers import attention_of, states_bytes
from toolkit.settings import Settings


def test_layers_with_other_heads_and_windows_say_what_transformers_says(
    tmp_path: Path,
    settings: Settings,
    convert_model: Callable[..., Artifact],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from executorch.extension.pybindings.portable_lib import _load_for_executorch

    source = unlike_layers(tmp_path, settings, monkeypatch)
    artifact = convert_model(source)
    parity = artifact.manifest.parity
    assert parity is not None and parity.passed
    program = artifact.path / "model.pte"
    check_prefill_and_decode(source, lambda: ExecutorchDecoder(program))
    layers = artifact.manifest.architecture.layers
    assert tuple(one.kv_heads for one in attention_of(layers)) == KV_HEADS
    assert tuple(one.window for one in attention_of(layers)) == WINDOWS
    # The caches are the last of the program's buffers: keys and values of 1 + 4 + 2 heads, 4 bytes each.
    context = artifact.manifest.context_length
    assert states_bytes(layers, context) == 2 * (1 + 4 + 2) * HEAD_DIM * context * 4
    module = _load_for_executorch(str(program))
    assert module.run_method("get_n_layers", []) == [len(KV_HEADS)]
    assert "get_n_kv_heads" not in module.method_names(), "one number cannot tell three"
