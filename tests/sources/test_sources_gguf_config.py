"""GGUF files' metadata as a config of transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf_files import GGUF_ARCHITECTURES, WriteGguf

from toolkit.settings import Settings
from toolkit.sources import resolve


@pytest.mark.parametrize("builtin", GGUF_ARCHITECTURES)
def test_config_comes_back_as_it_was(builtin: str, write_gguf: WriteGguf, settings: Settings) -> None:
    original = resolve(f"random:{builtin}", settings).config.to_dict()
    config = resolve(str(write_gguf(builtin)), settings).config.to_dict()
    compared = {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"}
    compared |= {"num_key_value_heads", "head_dim", "max_position_embeddings", "tie_word_embeddings"}
    compared |= {"bos_token_id", "eos_token_id", "query_pre_attn_scalar", "sliding_window"}
    compared |= {"n_embd", "n_layer", "n_head", "n_positions", "rope_parameters"}
    for key in compared & original.keys() & config.keys():
        assert config[key] == original[key], key


def test_gemma3_pattern_of_sliding_layers_is_llama_cpps(write_gguf: WriteGguf, settings: Settings) -> None:
    config = resolve(str(write_gguf("gemma3-tiny")), settings).config
    # Five sliding layers, then a full one; three layers have none.
    assert config.layer_types == ["sliding_attention"] * 3


def test_llama3_rotary_scaling_is_recovered(write_gguf: WriteGguf, settings: Settings) -> None:
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    scaling = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "low_freq_factor": 1.0}
    scaling |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    config = LlamaConfig(head_dim=16, rope_parameters=scaling)
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    plain = 500000.0 ** (-torch.arange(8) / 8)
    path = write_gguf(
        "llama-tiny",
        metadata={"llama.rope.freq_base": 500000.0},
        tensors={"rope_freqs.weight": (plain / scaled).numpy().astype(np.float32)},
    )
    assert resolve(str(path), settings).config.rope_parameters == scaling


def test_phi3_long_rotary_factors_are_read(write_gguf: WriteGguf, settings: Settings) -> None:
    short, long = np.full(8, 1.5, np.float32), np.full(8, 4.0, np.float32)
    path = write_gguf(
        "phi3-tiny",
        metadata={
            "phi3.context_length": 512,
            "phi3.rope.scaling.original_context_length": 256,
            "phi3.rope.scaling.attn_factor": 1.25,
        },
        tensors={"rope_factors_short.weight": short, "rope_factors_long.weight": long},
    )
    config = resolve(str(path), settings).config
    assert config.rope_parameters["rope_type"] == "longrope"
    assert config.rope_parameters["long_factor"] == long.tolist()
    assert config.rope_parameters["short_factor"] == short.tolist()
    assert config.rope_parameters["attention_factor"] == 1.25
    assert config.original_max_position_embeddings == 256


@pytest.mark.parametrize("said", [1.25, None])
def test_long_rotary_factors_are_read_of_other_architectures(
    write_gguf: WriteGguf, settings: Settings, said: float | None
) -> None:
    short, long = np.full(8, 1.5, np.float32), np.full(8, 4.0, np.float32)
    path = write_gguf(
        "llama-tiny",
        metadata={
            "llama.rope.scaling.type": "longrope",
            "llama.rope.scaling.original_context_length": 64,
            "llama.rope.scaling.attn_factor": said,
        },
        tensors={"rope_factors_short.weight": short, "rope_factors_long.weight": long},
    )
    config = resolve(str(path), settings).config
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    plain = 10000.0 ** -(torch.arange(8) / 8)
    # llama.cpp: without the key, no factor.
    for length, factor in ((64, 1.5), (65, 4.0)):
        angles, scale = ROPE_INIT_FUNCTIONS["longrope"](config, torch.device("cpu"), length)
        assert scale == (said or 1.0)
        assert torch.allclose(angles, plain / factor)


@pytest.mark.parametrize(
    "fields",
    [{"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}, {"rope.scale_linear": 4.0}]
    + [{"rope.scaling.factor": 4.0}],
)
def test_linear_scaling_is_read_as_llama_cpp_reads_it(
    fields: dict[str, Any], write_gguf: WriteGguf, settings: Settings
) -> None:
    path = write_gguf("llama-tiny", metadata={f"llama.{key}": value for key, value in fields.items()})
    scaling = resolve(str(path), settings).config.rope_parameters
    assert (scaling["rope_type"], scaling["factor"]) == ("linear", 4.0)


def test_end_of_turn_tokens_of_a_chat_model_end_generation(
    write_gguf: WriteGguf, settings: Settings, tmp_path: Path
) -> None:
    tokens = [f"t{index}" for index in range(512)]
    tokens[106] = "<end_of_turn>"
    types = [1] * 512
    types[106] = 3
    path = write_gguf(
        "gemma3-tiny",
        metadata={
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": types,
            "tokenizer.chat_template": "{{ messages }}",
        },
    )
    source = resolve(str(path), settings)
    assert source.config.eos_token_id == [2, 106]
    from toolkit.sources.generation import GenerationTokens, write_generation_config

    name = write_generation_config(tmp_path, GenerationTokens(1, (2, 106), None))
    assert json.loads((tmp_path / name).read_text()) == {"bos_token_id": 1, "eos_token_id": [2, 106]}


# llama.cpp, llama_vocab::impl::load: these end a text at all, whatever their type, template or none.
ENDING = [
    "<|endoftext|>",
    "<|eom_id|>",
    "<EOT>",
    "<|return|>",
    "<end_of_utterance>",
    "<|eot_id|>",
    "<|im_end|>",
]
ENDING += [
    "<|end_of_text|>",
    "[EOS]",
    "<eos>",
    "<｜end▁of▁sentence｜>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
]


@pytest.mark.parametrize(
    ("texts", "ends"),
    [
        *(([text], [text]) for text in ENDING),
        (["<|im_start|>", "<pad>", "<|start|>", "<|fim_prefix|>"], []),
        (["<|end|>", "<|return|>"], ["<|end|>", "<|return|>"]),
        # Within answers, in vocabularies of harmony's kind and of Gemma 4's.
        (["<|end|>", "<|return|>", "<|call|>"], ["<|return|>", "<|call|>"]),
        (["<|end|>", "<|flush|>", "<|calls|>"], ["<|flush|>", "<|calls|>"]),
        (["</s>", "<|tool_response>"], ["<|tool_response>"]),
        (["<PAD>", "<|fim_pad|>"], ["<|fim_pad|>"]),
    ],
)
@pytest.mark.parametrize("kind", [1, 3, 4])
def test_texts_end_where_llama_cpp_ends_them(
    texts: list[str], ends: list[str], kind: int, write_gguf: WriteGguf, settings: Settings
) -> None:
    tokens = [f"t{index}" for index in range(512)]
    tokens[100 : 100 + len(texts)] = texts
    path = write_gguf(
        "llama-tiny",
        metadata={"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": [kind] * 512},
    )
    found = resolve(str(path), settings).config.eos_token_id
    assert sorted(found if isinstance(found, list) else [found]) == [
        2,
        *(100 + texts.index(end) for end in ends),
    ]


def test_layers_slide_where_the_file_says_so(write_gguf: WriteGguf, settings: Settings) -> None:
    key = "gemma3.attention.sliding_window_pattern"
    by_period = resolve(str(write_gguf("gemma3-tiny", metadata={key: 3})), settings).config
    assert by_period.layer_types == ["sliding_attention", "sliding_attention", "full_attention"]
    by_layer = resolve(str(write_gguf("gemma3-tiny", metadata={key: [False, True, True]})), settings).config
    assert by_layer.layer_types == ["full_attention", "sliding_attention", "sliding_attention"]
