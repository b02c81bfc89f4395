"""Estimates against figures of others and against sums by hand; nothing is converted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from estimated_decoders import CONFIGS, random_model
from survey_kv_caches import KV_CACHE_MIB
from typer.testing import CliRunner

from toolkit.cli.main import app
from toolkit.compress.plan import plan_from_flags
from toolkit.devices.local import LocalDevice
from toolkit.engines import ENGINES
from toolkit.errors import SourceNotFound, ToolkitError, UnsupportedModel, UsageError
from toolkit.estimate.estimate import estimate, predict
from toolkit.estimate.stored import stored_matrices
from toolkit.export.estimated_conversion import estimate_conversion
from toolkit.export.request import ConvertRequest
from toolkit.models.catalogue.catalogue import shipped
from toolkit.models.facts_shape import LayerFacts, shape_of_config, shape_of_entry, shape_of_facts
from toolkit.models.layers import states_bytes, states_of, states_read_bytes
from toolkit.models.shape import seen_pairs
from toolkit.profiling.run_rows import device_row
from toolkit.settings import Settings
from toolkit.store import open_store
from toolkit.store.rooflines import add_roofline
from toolkit.store.rows import DeviceRoofline

run = CliRunner()
FAMILIES = Path(__file__).parents[1] / "families" / "configs"


@pytest.mark.parametrize(("name", "mebibytes"), KV_CACHE_MIB.items())
def test_the_survey_s_kv_caches(name: str, mebibytes: float) -> None:
    """Figure 11 (b); half precision there, float32 in our engines."""
    shape = shape_of_entry(shipped()[name])
    assert shape is not None
    engine = ENGINES.get("onnxruntime")
    plan = plan_from_flags("8da4w", tied=shape.tied)
    found = estimate(
        shape, stored_matrices(shape, plan, engine), engine, context=2048, text=2048, prompt_tokens=50
    )
    assert found.kv_cache_bytes == mebibytes * 2**20 * 2
    assert found.fixed_states_bytes == 0


# transformers counted these; what configs of other kinds add (learned positions) is not among the matrices.
@pytest.mark.parametrize(
    "name", ["SmolLM-135M", "Qwen2-0.5B", "Gemma-2B", "BLOOM-560M", "Phi-2", "Pythia-160M", "MiniCPM3-4B"]
)
def test_sizes_out_of_a_config_are_those_of_the_model(name: str) -> None:
    entry = shipped()[name]
    assert entry.config is not None and entry.parameters is not None
    shape = shape_of_config(entry.config)
    assert shape is not None
    assert shape.unique_parameters == pytest.approx(entry.parameters.unique, rel=0.005)


def test_a_config_tells_what_is_kept_of_each_token() -> None:
    latent = shape_of_config(shipped()["MiniCPM3-4B"].config or {})
    assert latent is not None
    # 62 layers of kv_lora_rank 256 and qk_rope_head_dim 32.
    assert states_bytes(latent.layers, 1) == 62 * (256 + 32) * 4
    # Multiplied by queries and by results, for each head: 64 and 64 of each of 40 heads.
    added = 2 * 62 * 40 * (2 * (256 + 32) + 256 * (64 + 64))
    linears = sum(2 * one.elements for one in latent.matrices if one.role != "embedding")
    assert latent.prefill_flops(1) == linears + added
    sharing = json.loads((FAMILIES / "gemma4_text-shared.json").read_text())
    shape = shape_of_config(sharing)
    assert shape is not None
    assert [state.name for state in states_of(shape.layers)] == ["0.key", "0.value", "1.key", "1.value"]
    assert sum("k_proj" in one.name for one in shape.matrices) == 2
    kept, read = states_bytes(shape.layers, 4), states_read_bytes(shape.layers, 4)
    # Of four layers two read what the other two keep.
    assert read == 2 * kept


# Floats of each token: 4 layers of a row and a rotated key; of two heads, keys and values of 64 and of 128.
@pytest.mark.parametrize(
    ("name", "floats"), [("minicpm3", 4 * (64 + 16)), ("gemma4-shared", 2 * 2 * 64 + 2 * 2 * 128)]
)
def test_compressed_rows_and_shared_caches_are_those_that_transformers_keeps(
    name: str, floats: int, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokens = 10
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**CONFIGS[name])).eval()
    cache = model(torch.arange(tokens)[None], use_cache=True).past_key_values
    kept = sum(one.nbytes for layer in cache.layers for one in (layer.keys, layer.values) if one is not None)
    assert kept == tokens * floats * 4
    request = ConvertRequest.of(model=random_model(name, tmp_path), quant="8da4w", algorithm="rtn")
    found = estimate_conversion(request, Settings.from_environment(), text=tokens).estimate
    assert (found.kv_cache_bytes, found.fixed_states_bytes) == (kept, 0)
    # Two layers read what the two before them keep.
    assert found.decode_states_bytes == kept * (2 if "shared" in name else 1)
    from_config = shape_of_config(CONFIGS[name])
    assert from_config is not None and states_bytes(from_config.layers, tokens) == kept
    # Gemma 4's factor of each layer is a buffer of its files.
    factors = sum(one.numel() for name, one in model.named_buffers() if "layer_scalar" in name)
    assert found.unique_parameters == sum(one.numel() for one in model.parameters()) + factors


@pytest.mark.parametrize("attending", ["full_attention", "indexed_attention"])
def test_of_layers_that_compress_only_those_that_attend_keep_rows(attending: str) -> None:
    """Kimi-Linear's kind: linear attention, and latent attention in every fourth layer."""
    fields = (shipped()["MiniCPM3-4B"].config or {}) | {
        "num_hidden_layers": 4,
        "layer_types": ["linear_attention"] * 3 + [attending],
    }
    shape = shape_of_config(fields)
    assert shape is not None
    assert [state.name for state in states_of(shape.layers)] == ["3.latent"]
    assert states_bytes(shape.layers, 1) == (256 + 32) * 4
    attentions = [one.name for one in shape.matrices if ".self_attn." in one.name]
    assert attentions == [
        f"model.layers.3.self_attn.{name}.weight"
        for name in ("q_a_proj", "q_proj", "kv_a_proj_with_mqa", "o_proj")
    ]


def test_layers_of_a_config_need_not_be_alike() -> None:
    """OpenELM's own way to say so; its multipliers as published."""
    shape = shape_of_config(
        {
            "model_type": "openelm",
            "model_dim": 1280,
            "num_transformer_layers": 2,
            "vocab_size": 32000,
            "num_query_heads": [12, 20],
            "num_kv_heads": [3, 5],
            "head_dim": 64,
            "ffn_multipliers": [0.5, 4.0],
            "ffn_dim_divisor": 256,
            "share_input_output_layers": True,
        }
    )
    assert shape is not None
    widths = [one.rows for one in shape.matrices if "up_proj" in one.name]
    assert widths == [768, 5120]
    assert [one.rows for one in shape.matrices if "k_proj" in one.name] == [3 * 64, 5 * 64]


def test_an_expert_is_read_when_it_is_used() -> None:
    one = LayerFacts(heads=4, kv_heads=4, head_dim=16, inner=128, gated=True, experts=8, experts_used=2)
    shape = shape_of_facts([one], hidden_size=64, vocabulary=512, tied=True)
    assert shape.unique_parameters == 512 * 64 + 4 * 64 * 64 + 8 * 3 * 128 * 64 + 3 * 64
    attention = 2 * 4 * (16 + 16)
    assert shape.prefill_flops(1) == 2 * (4 * 64 * 64 + 2 * 3 * 128 * 64 + 512 * 64) + attention


@pytest.mark.parametrize(
    ("tokens", "depth", "window"), [(1, 0, None), (5, 3, None), (5, 3, 4), (2, 9, 4), (4, 0, 4)]
)
def test_pairs_that_attention_multiplies(tokens: int, depth: int, window: int | None) -> None:
    seen = [
        (query, key)
        for query in range(depth, depth + tokens)
        for key in range(query + 1)
        if window is None or query - key < window
    ]
    assert seen_pairs(tokens, depth, window) == len(seen)


def test_the_parts_of_memory_are_the_peak() -> None:
    done = run.invoke(app, ["estimate", "llama-tiny", "--quant", "8da8w", "--context", "128", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output[done.output.index("{") :])
    figures = found["estimate"]
    memory = figures["memory"]
    assert sum(value for name, value in memory.items() if name != "peak_bytes") == memory["peak_bytes"]
    assert figures["unique_parameters"] == 106_816 and figures["stored_parameters"] == 139_584
    # Keys and values of 2 layers, 2 heads of 16, float32.
    assert figures["kv_cache_bytes"] == 2 * 2 * 2 * 16 * 128 * 4
    assert figures["decode_bytes"] == figures["decode_weights_bytes"] + figures["kv_cache_bytes"]


def test_a_device_s_roof_is_predicted_and_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLM_DATA_DIR", str(tmp_path))
    done = run.invoke(app, ["estimate", "llama-tiny", "--quant", "8da8w", "--device", "local"])
    assert done.exit_code == 0, done.output
    assert "predicted, at most" in done.output and " UTC" in done.output
    request = ConvertRequest.of(model="llama-tiny", quant="8da8w")
    found = estimate_conversion(request, Settings.from_environment()).estimate
    roof = predict(found, read_bytes_per_second=1e9, ops_per_second=2e9)
    assert roof.decode_tokens_per_second == 1e9 / (found.decode_weights_bytes + found.kv_cache_bytes)
    assert roof.prefill_tokens_per_second == 256 / (found.prefill_flops / 2e9)


@pytest.mark.parametrize(
    ("quant", "roof"),
    [("8da4w", 8e9), ("mobile-4bit", 8e9), ("fp16", 2e9), ("4w", 2e9)],
)
def test_a_prediction_takes_the_stored_roof_of_its_scheme_s_products(
    quant: str, roof: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLM_DATA_DIR", str(tmp_path))
    settings = Settings.from_environment()
    stored = DeviceRoofline(
        device_key=device_row(LocalDevice(settings).info()).key,
        created_unix_ns=1_700_000_000_000_000_000,
        runner_version="0.1.0",
        kernels="own:avx2",
        buffer_bytes=1 << 28,
        passes=7,
        points={
            "threads": [1, 2],
            "read_bytes_per_second": [10**9, 10**10],
            "int8_ops_per_second": [8 * 10**9, 10**9],
            "float_ops_per_second": [10**9, 2 * 10**9],
        },
    )
    with open_store(settings.store_url) as store:
        add_roofline(store, stored)
    done = run.invoke(app, ["estimate", "llama-tiny", "--quant", quant, "--device", "local", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output[done.output.index("{") :])
    predicted, figures = found["predicted"], found["estimate"]
    assert predicted["measured"].startswith("2023-11-14T22:13:20")
    assert (
        predicted["prefill_tokens_per_second"] == figures["prompt_tokens"] * roof / figures["prefill_flops"]
    )
    assert predicted["decode_tokens_per_second"] == 1e10 / figures["decode_bytes"]


def test_facts_that_miss_the_count_of_parameters_give_no_estimate() -> None:
    # One feed-forward serves all of MobiLlama's blocks: counted per block they are 2.4 times its 534.9 M.
    done = run.invoke(app, ["estimate", "MobiLlama-0.5B", "--context", "2048"])
    assert isinstance(done.exception, UnsupportedModel)
    assert "knows too little" in str(done.exception)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"quant": "9da9w"}, "9da9w"),
        ({"context": 300}, "256 positions"),
        ({"quant": "8da4w", "group_size": 128}, "does not divide"),
        ({"quant": "source"}, "--quant source"),
        ({"backend": "executorch", "quant": "fp16"}, "fp16"),
    ],
)
def test_what_cannot_be_converted_is_not_estimated(fields: dict[str, object], told: str) -> None:
    request = ConvertRequest.of(model="llama-tiny", **fields)
    with pytest.raises(ToolkitError, match=told):
        estimate_conversion(request, Settings.from_environment())


def test_more_tokens_than_the_context_are_refused() -> None:
    request = ConvertRequest.of(model="llama-tiny", context=64)
    with pytest.raises(UsageError, match="do not fit"):
        estimate_conversion(request, Settings.from_environment(), text=65)


def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises(SourceNotFound):
        estimate_conversion(
            ConvertRequest.of(model="nobody/no-such-model", offline=True), Settings.from_environment()
        )
