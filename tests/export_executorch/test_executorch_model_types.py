"""Every supported model type against transformers itself, with random weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from toolkit.artifact import Artifact
from toolkit.errors import UnsupportedModel
from toolkit.export.executorch.session import ExecutorchDecoder
from toolkit.settings import Settings
from toolkit.sources import ModelSource, resolve

MODEL_TYPES = ["llama", "mistral", "qwen2", "qwen3", "phi3", "gemma3", "gpt2"]
PREFILL, STEPS = 40, 8


def transformers_logits(source: ModelSource, ids: list[int]) -> torch.Tensor:
    """Prefill and single steps through transformers' own KV cache; logits of each last position."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(source.config, dtype=torch.float32, attn_implementation="eager")
    model.load_state_dict({name: source.weights.read(name) for name in source.weights.names()}, strict=False)
    model.tie_weights()
    model.eval()
    rows, cache = [], None
    with torch.no_grad():
        for chunk in [ids[:PREFILL], *([token] for token in ids[PREFILL:])]:
            output = model(torch.tensor([chunk]), past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            rows.append(output.logits[0, -1])
    return torch.stack(rows)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_fp32_logits_equal_transformers_over_prefill_and_decode(
    model_type: str, convert_model: Callable[..., Artifact], settings: Settings
) -> None:
    source = resolve(f"random:{model_type}-tiny", settings)
    window = getattr(source.config, "sliding_window", None)
    assert window is None or window < PREFILL, "the text must be longer than the window to test it"
    ids = np.random.default_rng(7).integers(3, source.config.vocab_size, PREFILL + STEPS).tolist()
    expected = transformers_logits(source, ids)

    decoder = ExecutorchDecoder(convert_model(source).path / "model.pte")
    rows = [decoder.step(ids[:PREFILL]), *(decoder.step([token]) for token in ids[PREFILL:])]

    assert expected.std() > 0.1, "flat logits would agree whatever the weights"
    torch.testing.assert_close(torch.cat(rows), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_prefill_in_chunks_after_another_text_equals_prefill_at_once(
    model_type: str, convert_model: Callable[..., Artifact]
) -> None:
    artifact = convert_model(f"random:{model_type}-tiny")
    generator = np.random.default_rng(8)
    ids, other = generator.integers(3, artifact.manifest.architecture.vocab_size, (2, PREFILL)).tolist()
    decoder = ExecutorchDecoder(artifact.path / "model.pte")
    at_once = decoder.step(ids)
    decoder.reset()
    decoder.step(other)
    decoder.reset()
    for start in range(0, PREFILL, 16):
        in_chunks = decoder.step(ids[start : start + 16])
    torch.testing.assert_close(in_chunks, at_once, atol=1e-3, rtol=0)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("quant", ["8da8w", "8da4w"])
def test_quantized_artifacts_stay_close_to_transformers(
    model_type: str, quant: str, convert_model: Callable[..., Artifact]
) -> None:
    parity = convert_model(f"random:{model_type}-tiny", quant).manifest.parity
    assert parity is not None and parity.passed
    assert parity.max_abs_diff > 1e-3, "a quantized model that equals fp32 is not quantized"


@pytest.mark.parametrize("quant", ["8w", "4w", "mobile-4bit", "mobile-8bit"])
def test_other_schemes_and_presets_convert(quant: str, convert_model: Callable[..., Artifact]) -> None:
    if quant == "4w":
        # One scale per channel is coarse at 4 bits; whether it passes the limit is the model's business.
        artifact = convert_model("random:llama-tiny", quant, check_parity=False)
    else:
        artifact = convert_model("random:llama-tiny", quant)
    assert artifact.manifest.backend.name == "executorch"


def test_all_logits_are_those_of_every_position(convert_model: Callable[..., Artifact]) -> None:
    artifact = convert_model("random:qwen3-tiny", logits="all")
    decoder = ExecutorchDecoder(artifact.path / "model.pte")
    ids = [5, 9, 200, 31, 77]
    every = decoder.step(ids)
    assert every.shape[0] == len(ids)
    decoder.reset()
    for index, token in enumerate(ids):
        torch.testing.assert_close(decoder.step([token])[0], every[index], atol=1e-3, rtol=0)


def test_texts_longer_than_one_call_takes_are_cut(
    convert_model: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = np.random.default_rng(9).integers(3, 500, PREFILL).tolist()
    whole = ExecutorchDecoder(convert_model("random:llama-tiny").path / "model.pte").step(ids)
    monkeypatch.setattr("toolkit.export.executorch.export.LONGEST_CHUNK", 16)
    cut = ExecutorchDecoder(convert_model("random:llama-tiny", logits="all").path / "model.pte").step(ids)
    assert cut.shape[0] == PREFILL
    torch.testing.assert_close(cut[-1:], whole, atol=1e-3, rtol=0)


def test_a_text_beyond_the_context_is_refused_by_the_runtime(convert_model: Callable[..., Artifact]) -> None:
    artifact = convert_model("random:llama-tiny", context_length=32)
    decoder = ExecutorchDecoder(artifact.path / "model.pte")
    decoder.step([5] * 32)
    with pytest.raises(RuntimeError, match="Failed to execute method forward"):
        decoder.step([5])


def test_unknown_operator_is_named(convert_model: Callable[..., Artifact], settings: Settings) -> None:
    from dataclasses import replace

    from executorch.exir._serialize._named_data_store import NamedDataStore

    from toolkit.compress.plan import plan_from_flags
    from toolkit.export.capture import cached_capture
    from toolkit.export.executorch.lowering import Lowering
    from toolkit.export.executorch.program import Method
    from toolkit.export.executorch.weights import WeightStore
    from toolkit.export.patches import register_attention
    from toolkit.export.rope import rope_table
    from toolkit.export.skeleton import build_skeleton, tied_names

    register_attention()
    source = resolve("random:llama-tiny", settings)
    model = build_skeleton(source.config, attention="slm")
    graph, _ = cached_capture(model, source.config, settings.cache_dir)
    ops = tuple(replace(op, target="aten.cumsum") if op.target == "aten.silu" else op for op in graph.ops)
    data = NamedDataStore()
    tied = tied_names(model)
    store = WeightStore(source.weights, plan_from_flags("fp32", tied=True, layers=2), data, tied)
    with pytest.raises(UnsupportedModel, match=r"operator aten\.cumsum \(silu\) has no ExecuTorch lowering"):
        Lowering(
            replace(graph, ops=ops),
            Method("forward", data),
            store,
            lambda name: rope_table(model, name, 64),
            tied=tied,
            all_logits=False,
            longest=64,
            context_length=64,
        ).run()
