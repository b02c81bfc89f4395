"""GGUF files of the families that llama.cpp converts, against the models that they were made from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from gguf_families import CONFIGS, FAMILIES, UNSAID, write_family

from toolkit.errors import MissingWeights, SourceCorrupt, SourceError
from toolkit.inference.original import check_reader
from toolkit.settings import Settings
from toolkit.sources import ModelSource, resolve

IDS = (torch.arange(40) * 11 % 400 + 3)[None]


def _logits(source: ModelSource) -> torch.Tensor:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(
        source.config, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    weights = {name: source.weights.read(name) for name in source.weights.names()}
    lost = model.load_state_dict(weights, strict=False)
    assert not lost.unexpected_keys
    model.tie_weights()
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=IDS, use_cache=False).logits
    return logits


def _original(name: str, settings: Settings) -> ModelSource:
    fields = json.loads((CONFIGS / f"{name}.json").read_text()) | UNSAID.get(name, {})
    file = settings.cache_dir.parent / f"{name}.json"
    file.write_text(json.dumps(fields))
    return resolve(f"random:{file}", settings)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_says_what_it_said_before(name: str, tmp_path: Path, settings: Settings) -> None:
    original = _original(name, settings)
    path = write_family(tmp_path / "model.gguf", original, FAMILIES[name])
    source = resolve(str(path), settings)
    expected = _logits(original)
    assert expected.std() > 0.05
    torch.testing.assert_close(_logits(source), expected, atol=2e-5, rtol=0)
    # llama.cpp's package and transformers' table of what the converter did read the same numbers.
    check_reader(source)


def test_a_gate_of_one_row_may_be_a_matrix(tmp_path: Path, settings: Settings) -> None:
    """llama.cpp's quantizer leaves out dimensions of size one, its converter may keep them."""
    original = _original("qwen2_moe", settings)
    name = "model.layers.0.mlp.shared_expert_gate.weight"
    kept = {"blk.0.ffn_gate_inp_shexp.weight": original.weights.read(name).numpy()}
    source = resolve(str(write_family(tmp_path / "a.gguf", original, "qwen2moe", tensors=kept)), settings)
    assert torch.equal(source.weights.read(name), original.weights.read(name))
    check_reader(source)


def test_experts_of_which_half_is_missing_are_named(tmp_path: Path, settings: Settings) -> None:
    path = write_family(
        tmp_path / "model.gguf",
        _original("olmoe", settings),
        "olmoe",
        skip=("blk.1.ffn_up_exps.weight",),
    )
    with pytest.raises(MissingWeights, match="model.layers.1.mlp.experts.gate_up_proj"):
        resolve(str(path), settings)


@pytest.mark.parametrize("part", [1, 3])
def test_any_part_of_a_split_file_stands_for_the_model(part: int, tmp_path: Path, settings: Settings) -> None:
    original = _original("granite", settings)
    first = write_family(tmp_path / "model.gguf", original, "granite", parts=3)
    source = resolve(str(first).replace("00001-of", f"{part:05}-of"), settings)
    assert source.name == "model"
    assert source.info.id == first.name
    assert [file.path for file in source.info.files] == [f"model-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    for name in original.weights.names():
        assert torch.equal(source.weights.read(name), original.weights.read(name)), name
    check_reader(source)


def test_a_missing_part_is_named(tmp_path: Path, settings: Settings) -> None:
    first = write_family(tmp_path / "model.gguf", _original("granite", settings), "granite", parts=3)
    (tmp_path / "model-00002-of-00003.gguf").unlink()
    with pytest.raises(MissingWeights, match="1 of 3 parts are missing: model-00002-of-00003.gguf"):
        resolve(str(first), settings)


def test_parts_in_another_order_than_their_names_are_refused(tmp_path: Path, settings: Settings) -> None:
    first = write_family(tmp_path / "model.gguf", _original("granite", settings), "granite", parts=3)
    second, third = (tmp_path / f"model-0000{n}-of-00003.gguf" for n in (2, 3))
    second.rename(tmp_path / "other")
    third.rename(second)
    (tmp_path / "other").rename(third)
    with pytest.raises(SourceCorrupt, match="is not part 2 of 3"):
        resolve(str(first), settings)


@pytest.mark.parametrize(
    ("name", "keys", "match"),
    [
        ("granite", {"rope__scaling__finetuned": False}, "without rotary"),
        ("olmoe", {"attention__clamp_kqv": 8.0}, "clamp_kqv"),
        ("qwen3_moe", {"expert_weights_scale": 2.5}, "expert_weights_scale"),
        ("lfm2", {"attention__head_count_kv": 2}, "head_count_kv"),
        ("granite", {"attn_logit_softcapping": 30.0}, "attn_logit_softcapping"),
        ("olmo", {"attention__layer_norm_epsilon": 1e-3}, "epsilon"),
        ("starcoder2", {"rope__dimension_count": 8}, "8 of"),
        ("gemma2", {"attention__sliding_window_pattern": [True]}, "sliding_window_pattern"),
        ("gemma2", {"attn_logit_softcapping": 0.0}, "attn_logit_softcapping is 0.0, not above 0"),
        ("gemma2", {"final_logit_softcapping": -30.0}, "final_logit_softcapping is -30.0, not above 0"),
        ("gemma", {"attention__value_length": 8}, "values of 8"),
        ("seed_oss", {"logit_scale": 2.0}, "logit_scale"),
        ("cohere2", {"residual_scale": 0.5}, "residual_scale"),
    ],
)
def test_what_the_config_cannot_say_is_refused(
    name: str, keys: dict[str, object], match: str, tmp_path: Path, settings: Settings
) -> None:
    path = write_family(tmp_path / "model.gguf", _original(name, settings), FAMILIES[name], **keys)
    with pytest.raises(SourceError, match=match) as caught:
        resolve(str(path), settings)
    assert caught.value.next_step
