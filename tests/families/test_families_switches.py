"""Switches of configs that once ended in a fault or were refused, on both engines."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conversions_of_families import (
    ENGINES,
    contents_or_refusal,
    converted,
    decoder,
    outcome,
    tiny_source,
    transformers_model,
)
from transformers import AutoModelForCausalLM

from toolkit.errors import UnsupportedModel
from toolkit.export.convert import convert
from toolkit.export.request import ConvertRequest
from toolkit.settings import Settings
from toolkit.sources import resolve

SWITCHES = {
    "a tied head that is registered before the embedding": "camembert-decoder",
    "positions looked up by an index": "whisper-decoder",
    "an attention without a number, which layers share": "zamba",
    "a gate with a slope below zero": "llama-leaky_relu",
    "a gate that is cut off": "llama-gelu_10",
    "a gate of tanh and softplus": "llama-mish",
    "an output matrix of its own, whatever the config says, and layers that do not say they are causal": (
        "bigbird_pegasus-decoder"
    ),
    "a rotary embedding that turns every column of a head": "stablelm-whole-rotary",
    "tokens that are chosen for each token, all of a short text": "glm_moe_dsa",
    "blocks of tokens that are chosen for each token": "minimax_m3-blocks",
    "heads of 12 numbers, whose results the model views": "afmoe-heads12",
    "places of experts cut apart": "llama4_text-two",
    "a mask of no token, made for layers that there are not": "qwen2_moe",
    "a convolution of one tap": "lfm2-onetap",
    "a weighted mean that fades, halved every few layers": "rwkv-rescaled",
    "an attention without a softmax, computed block by block": "minimax-blocks",
}
# The line of each model's own code that no operator says.
UNTRACED = {
    "dbrx": "DbrxExperts.forward, modeling_dbrx.py line",
    "cpmant": "CpmAntModel._prepare_attention_mask, modeling_cpmant.py line",
    "xlnet": "XLNetRelativeAttention.rel_shift_bnij, modeling_xlnet.py line",
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", SWITCHES.values(), ids=SWITCHES.keys())
def test_logits_equal_transformers(name: str, engine: str, tmp_path: Path, settings: Settings) -> None:
    found = outcome(name, engine, tmp_path, settings)
    assert found.outcome == "converts", found


def test_a_mean_over_another_dimension_than_the_last(tmp_path: Path, settings: Settings) -> None:
    found = outcome("gemma3n_text", "executorch", tmp_path, settings)
    assert found.outcome == "converts", found


def test_a_list_that_is_shorter_than_the_layers_is_refused(tmp_path: Path, settings: Settings) -> None:
    found = outcome("smollm3-fewlayers", "onnxruntime", tmp_path, settings)
    assert found.outcome == "refused" and "does not make a valid config" in found.reason


def test_a_context_in_which_tokens_would_be_chosen_is_refused(tmp_path: Path, settings: Settings) -> None:
    source = tiny_source("deepseek_v32-chosen", tmp_path, settings)
    assert source.config.index_topk == 8

    def request(context: int | None) -> ConvertRequest:
        return ConvertRequest.of(model=source.name, quant="fp32", backend="onnxruntime", context=context)

    with pytest.raises(UnsupportedModel, match="attends to 8 tokens that it chooses") as refused:
        convert(source, request(None), tmp_path / "long", settings)
    assert refused.value.next_step == "Pass --context 8 or less."

    artifact = convert(source, request(8), tmp_path / "short", settings)

    ids = list(range(3, 11))
    with torch.no_grad():
        expected = transformers_model(source)(torch.tensor([ids]), use_cache=False).logits[0, -1]
    with decoder("onnxruntime", artifact.path) as loaded:
        assert (loaded.step(ids)[-1] - expected).abs().max() < 1e-4


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_part_without_numbers_is_refused(engine: str, tmp_path: Path, settings: Settings) -> None:
    found = outcome("afmoe-noshared", engine, tmp_path, settings)
    assert found.outcome == "refused"
    assert "shared_experts" in found.reason and "has a size of 0" in found.reason


@pytest.mark.parametrize(("name", "place"), UNTRACED.items(), ids=UNTRACED)
def test_a_refused_trace_says_its_place_and_prints_nothing_else(
    name: str, place: str, tmp_path: Path, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    said = str(contents_or_refusal(name, "onnxruntime", tmp_path, settings))
    assert f"model type {name!r} cannot be traced" in said and place in said
    printed = capfd.readouterr().err
    assert "def forward" not in printed and "guard added" not in printed


def test_an_encoder_is_told_what_makes_it_a_decoder(tmp_path: Path, settings: Settings) -> None:
    said = str(contents_or_refusal("bert-notdecoder", "executorch", tmp_path, settings))
    assert "model type 'bert'" in said and "does not call causal" in said and "set is_decoder to true" in said


@pytest.mark.filterwarnings("ignore")
def test_xielu_is_computed_in_float32_where_transformers_makes_its_factors_in_bfloat16(
    tmp_path: Path, settings: Settings
) -> None:
    source = tiny_source("llama-xielu", tmp_path, settings)
    ids = torch.arange(3, 27)[None]
    exact = transformers_model(source)
    rounded = AutoModelForCausalLM.from_config(source.config, dtype=torch.float32)
    rounded.load_state_dict(exact.state_dict())
    assert rounded.model.layers[0].mlp.act_fn.alpha_p.dtype == torch.bfloat16
    with torch.no_grad():
        wide, narrow = (model.eval()(ids, use_cache=False).logits[0, -1] for model in (exact, rounded))
    assert (wide - narrow).abs().max() > 3e-3

    artifact = converted(source, "onnxruntime", "fp32", tmp_path / "out", settings)

    with decoder("onnxruntime", artifact.path) as loaded:
        assert (loaded.step(ids[0].tolist())[-1] - wide).abs().max() < 1e-4

    # The judge of a folder computes in float32, too.
    rounded.save_pretrained(tmp_path / "folder")
    folder = resolve(str(tmp_path / "folder"), settings)
    request = ConvertRequest.of(model=folder.name, quant="fp32", backend="onnxruntime")
    judged = convert(folder, request, tmp_path / "judged", settings).manifest.parity
    assert judged is not None and judged.max_abs_diff < 1e-4
