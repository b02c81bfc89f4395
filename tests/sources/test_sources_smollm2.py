"""The real demo model: SmolLM2-135M-Instruct out of its wheel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from toolkit.errors import SourceNotFound
from toolkit.settings import Settings
from toolkit.sources import ModelSource
from toolkit.sources.demo_wheel import DEMO

CHAT = "<|im_start|>user\nHello, wörld! It's 12345 o'clock.\n\n  def f(x):<|im_end|>\n"


@pytest.fixture(scope="module")
def user_settings() -> Settings:
    """The user's own cache: 98 MB are downloaded once, not once per test run."""
    return Settings.from_environment()


@pytest.fixture(scope="module")
def smollm2(user_settings: Settings) -> ModelSource:
    try:
        return DEMO.open(user_settings)
    except SourceNotFound as error:
        pytest.skip(f"the demo model cannot be had: {error.what}")


@pytest.fixture(scope="module")
def tokenizer_folder(smollm2: ModelSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    smollm2.write_tokenizer(folder)
    return folder


def test_all_tensors_equal_transformers_own_loader(smollm2: ModelSource, user_settings: Settings) -> None:
    from transformers import AutoModelForCausalLM
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(smollm2.config)
    path = DEMO.cached_file(user_settings)
    theirs = load_gguf_checkpoint(str(path), return_tensors=True, model_to_load=model)["tensors"]
    assert set(theirs) == set(smollm2.weights.names())
    for name in smollm2.weights.names():
        assert torch.equal(smollm2.weights.read(name), theirs[name]), name


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("model.embed_tokens.weight", 8),
        ("model.layers.0.self_attn.q_proj.weight", 4),
        ("model.layers.29.self_attn.k_proj.weight", 4),
        ("model.layers.7.mlp.down_proj.weight", 4),
    ],
)
def test_blocks_are_the_stored_ones(smollm2: ModelSource, name: str, bits: int) -> None:
    blocks = smollm2.weights.read_blocks(name)
    assert blocks is not None
    assert (blocks.bits, blocks.group_size) == (bits, 32)
    values = smollm2.weights.read(name)
    if bits == 8:
        assert torch.equal(blocks.dequantize(), values)
    # Q4_1 stores q * d + m, we (q + m / d) * d: within one float32 epsilon of the block's largest value.
    largest = values.view(-1, 32).abs().amax(1, keepdim=True)
    assert bool(((blocks.dequantize() - values).view(-1, 32).abs() <= largest * 2**-23).all())


def test_config_is_the_published_one(smollm2: ModelSource) -> None:
    config = smollm2.config
    assert config.model_type == "llama"
    assert (config.num_hidden_layers, config.hidden_size, config.intermediate_size) == (30, 576, 1536)
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (9, 3, 64)
    assert (config.vocab_size, config.max_position_embeddings) == (49152, 8192)
    assert config.tie_word_embeddings
    assert config.rope_parameters == {"rope_type": "default", "rope_theta": 100000.0}


def test_texts_are_cut_as_the_model_was_trained(
    tokenizer_folder: Path, user_settings: Settings, tmp_path: Path
) -> None:
    """Single digits first, then GPT-2's pattern; transformers' reading of the file keeps digits together."""
    from tokenizers import Tokenizer, pre_tokenizers
    from transformers import AutoTokenizer

    ours = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    right = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    right.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    for text in (
        CHAT,
        "In 1969 two people",
        "a\n    10\n    20\n",
        "total:   42",
        "| 10 |  20 |",
        "end   \n 5",
    ):
        assert ours.encode(text).ids == right.encode(text).ids
    path = DEMO.cached_file(user_settings)
    theirs = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    written = AutoTokenizer.from_pretrained(tokenizer_folder)
    messages = [{"role": "user", "content": "Hi"}]
    assert written.apply_chat_template(messages, tokenize=False) == theirs.apply_chat_template(
        messages, tokenize=False
    )


def test_generation_stops_at_the_end_of_turn(tokenizer_folder: Path) -> None:
    generation = json.loads((tokenizer_folder / "generation_config.json").read_text())
    # <|endoftext|> and <reponame> end texts in llama.cpp, too.
    assert generation == {"bos_token_id": 1, "eos_token_id": [2, 0, 4], "pad_token_id": 2}
    config = json.loads((tokenizer_folder / "tokenizer_config.json").read_text())
    assert config["eos_token"] == "<|im_end|>"


def test_onnxruntime_genai_tokenizes_the_same(
    tokenizer_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    from tokenizers import Tokenizer

    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "1")
    genai = pytest.importorskip("onnxruntime_genai")
    shutil.copytree(tokenizer_folder, tmp_path, dirs_exist_ok=True)
    decoder = {"filename": "none.onnx", "head_size": 64, "hidden_size": 576, "num_attention_heads": 9}
    decoder |= {"num_key_value_heads": 3, "num_hidden_layers": 30, "inputs": {}, "outputs": {}}
    model = {"type": "llama", "vocab_size": 49152, "context_length": 8192, "decoder": decoder}
    (tmp_path / "genai_config.json").write_text(
        json.dumps({"model": model | {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}, "search": {}})
    )
    theirs = genai.Tokenizer(genai.Config(str(tmp_path)))
    ours = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    assert theirs.encode(CHAT).tolist() == ours.encode(CHAT).ids
    assert theirs.decode(theirs.encode(CHAT)) == ours.decode(ours.encode(CHAT).ids)
