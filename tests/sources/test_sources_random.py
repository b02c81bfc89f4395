"""Random weights: the same everywhere, and neither flat nor exploding."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from toolkit.errors import SourceCorrupt, SourceNotFound, UnsupportedModel
from toolkit.models.catalogue.catalogue import shipped
from toolkit.settings import Settings
from toolkit.sources import resolve

FAMILIES = Path(__file__).parents[1] / "families" / "configs"
TINY = [name for name, entry in shipped().items() if entry.made_up]


def test_every_supported_family_has_a_tiny_config() -> None:
    families = {"llama", "mistral", "qwen2", "qwen3", "phi3", "gemma3", "gpt2"}
    assert {name.removesuffix("-tiny") for name in TINY} == families


@pytest.mark.parametrize("builtin", TINY)
def test_logits_are_neither_flat_nor_exploding(builtin: str, settings: Settings) -> None:
    from transformers import AutoModelForCausalLM

    source = resolve(f"random:{builtin}", settings)
    model = AutoModelForCausalLM.from_config(source.config).eval()
    loaded = model.load_state_dict({n: source.weights.read(n) for n in source.weights.names()}, strict=False)
    assert not loaded.unexpected_keys
    assert set(loaded.missing_keys) <= {"lm_head.weight"}
    model.tie_weights()
    prompt = torch.arange(20, 52)[None]
    with torch.no_grad():
        logits = model(prompt).logits
        continuation = model.generate(
            prompt, max_new_tokens=24, do_sample=False, eos_token_id=None, pad_token_id=0
        )
    assert 1 < float(logits.std()) < 4
    # A model that repeats one token makes greedy parity a weak test.
    assert len(set(continuation[0, 32:].tolist())) > 3


@pytest.mark.parametrize("name", ["nemotron", "qwen3_next", "vaultgemma", "gemma4_text"])
def test_norms_neither_double_nor_lose_their_input(name: str, settings: Settings) -> None:
    from transformers import AutoModelForCausalLM

    source = resolve(f"random:{FAMILIES / name}.json", settings)
    model = AutoModelForCausalLM.from_config(source.config).eval()
    norms = {name: module for name, module in model.named_modules() if name.endswith("input_layernorm")}
    with torch.no_grad():
        for path, norm in norms.items():
            norm.weight.copy_(source.weights.read(f"{path}.weight"))
            assert 0.9 < float(norm(torch.randn(8, len(norm.weight))).std()) < 1.1
    assert norms


def test_tensors_depend_on_their_name_only(settings: Settings) -> None:
    one, two = resolve("random:llama-tiny", settings).weights, resolve("random:llama-tiny", settings).weights
    names = one.names()
    backwards = {name: two.read(name) for name in reversed(names)}
    assert all(torch.equal(one.read(name), backwards[name]) for name in names)
    layers = [one.read(f"model.layers.{layer}.mlp.up_proj.weight") for layer in range(2)]
    assert not torch.equal(*layers)


def test_a_config_file_works_like_a_builtin(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "my-model"
    folder.mkdir()
    resolve("random:qwen3-tiny", settings).config.save_pretrained(folder)
    source = resolve(f"random:{folder}/config.json", settings)
    assert source.name == "random-my-model"
    assert source.info.kind == "random"
    assert source.config.model_type == "qwen3"


def test_large_shapes_cost_nothing_until_read(settings: Settings) -> None:
    weights = resolve("random:tinyllama-1.1b", settings).weights
    count = sum(torch.Size(weights.shape(name)).numel() for name in weights.names())
    assert count == 1_100_048_384


def test_an_unknown_name_gets_a_near_one(settings: Settings) -> None:
    with pytest.raises(SourceNotFound, match="Did you mean 'llama-tiny'"):
        resolve("random:lama-tiny", settings)


def test_letters_case_makes_no_other_model(settings: Settings) -> None:
    one, two = (resolve(f"random:{name}", settings) for name in ("smollm2-135m", "SmolLM2-135M"))
    assert one.info == two.info and one.name == two.name == "random-SmolLM2-135M"


def test_a_model_without_a_config_says_why(settings: Settings) -> None:
    with pytest.raises(SourceNotFound, match="serves all blocks"):
        resolve("random:MobiLlama-0.5B", settings)


@pytest.mark.parametrize(
    ("content", "error"),
    [("{", SourceCorrupt), ("[]", SourceCorrupt), ('{"model_type": "x"}', UnsupportedModel)],
)
def test_bad_config_file_is_refused(
    tmp_path: Path, settings: Settings, content: str, error: type[Exception]
) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(error):
        resolve(f"random:{path}", settings)


@pytest.mark.parametrize("text", ["Hello, wörld!", "日本語 🙂\n\ttabs", "<|eos|> in text"])
def test_synthetic_tokenizer_restores_any_text(settings: Settings, tmp_path: Path, text: str) -> None:
    from tokenizers import Tokenizer

    written = resolve("random:llama-tiny", settings).write_tokenizer(tmp_path)
    assert written.names == ("generation_config.json", "tokenizer.json", "tokenizer_config.json")
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    ids = tokenizer.encode(text).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text
    assert max(ids) < 512


def test_synthetic_tokenizer_covers_the_vocabulary_and_its_special_ids(
    settings: Settings, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    source = resolve("random:llama-tiny", settings)
    source.write_tokenizer(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert sorted(tokenizer.get_vocab().values()) == list(range(512))
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 0)
    generation = json.loads((tmp_path / "generation_config.json").read_text())
    assert generation == {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


def test_vocabulary_too_small_for_bytes_has_no_tokenizer(tmp_path: Path) -> None:
    from toolkit.sources.byte_tokenizer import ByteTokenizer

    written = ByteTokenizer(64, bos_token_id=None, end_token_ids=(2,), pad_token_id=None).write(tmp_path)
    assert written.names == ("generation_config.json",)
