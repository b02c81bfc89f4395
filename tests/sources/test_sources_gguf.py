"""GGUF files: every architecture, every change of llama.cpp undone, blocks carried over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf_files import GGUF_ARCHITECTURES, WriteGguf

from toolkit.errors import MissingWeights, SourceCorrupt, SourceError, SourceNotFound, UnsupportedModel
from toolkit.settings import Settings
from toolkit.sources import ModelSource, WeightReader, resolve
from toolkit.sources.checksums import sha256_with_progress

# transformers' loader takes head_dim from the file for these only; our tiny shapes are not its defaults.
LOADED_BY_TRANSFORMERS = ["llama-tiny", "mistral-tiny", "qwen2-tiny", "phi3-tiny", "gemma3-tiny", "gpt2-tiny"]


def tensors_of(weights: WeightReader) -> dict[str, torch.Tensor]:
    return {name: weights.read(name) for name in weights.names()}


def loaded_by_transformers(path: Path, source: ModelSource) -> dict[str, torch.Tensor]:
    from transformers import AutoModelForCausalLM
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(source.config)
    loaded: dict[str, Any] = load_gguf_checkpoint(str(path), return_tensors=True, model_to_load=model)
    tensors: dict[str, torch.Tensor] = loaded["tensors"]
    return tensors


@pytest.mark.parametrize("builtin", GGUF_ARCHITECTURES)
def test_tensors_come_back_as_they_were(builtin: str, write_gguf: WriteGguf, settings: Settings) -> None:
    original = resolve(f"random:{builtin}", settings)
    source = resolve(str(write_gguf(builtin)), settings)
    assert source.weights.names() == original.weights.names()
    for name in original.weights.names():
        # gemma's norms are stored as 1 + w, which rounds.
        torch.testing.assert_close(
            source.weights.read(name), original.weights.read(name), rtol=0, atol=2e-7, msg=name
        )
        assert source.weights.shape(name) == tuple(source.weights.read(name).shape)


@pytest.mark.parametrize("builtin", LOADED_BY_TRANSFORMERS)
def test_tensors_equal_transformers_own_loader(
    builtin: str, write_gguf: WriteGguf, settings: Settings
) -> None:
    path = write_gguf(builtin, matrix_type="Q4_1")
    source = resolve(str(path), settings)
    theirs = loaded_by_transformers(path, source)
    ours = tensors_of(source.weights)
    assert set(ours) == set(theirs)
    for name, values in ours.items():
        assert torch.equal(values, theirs[name]), name


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


@pytest.mark.parametrize("builtin", ["llama-tiny", "qwen2-tiny", "gpt2-tiny", "gemma3-tiny"])
@pytest.mark.parametrize("matrix_type", ["Q4_0", "Q4_1", "Q8_0"])
def test_blocks_are_carried_over_exactly(
    builtin: str, matrix_type: str, write_gguf: WriteGguf, settings: Settings
) -> None:
    source = resolve(str(write_gguf(builtin, matrix_type=matrix_type)), settings)
    carried = 0
    for name in source.weights.names():
        blocks = source.weights.read_blocks(name)
        values = source.weights.read(name)
        if blocks is None:
            assert values.ndim == 1 or "wpe" in name
            continue
        carried += 1
        restored = blocks.dequantize()
        # Rows are output features, also for gpt2's Conv1D.
        if builtin == "gpt2-tiny" and "wte" not in name:
            restored = restored.T
        if matrix_type == "Q4_1":
            assert blocks.exact_offsets and not blocks.symmetric
            torch.testing.assert_close(restored, values, rtol=0, atol=float(values.abs().max()) * 2**-23)
        else:
            assert blocks.symmetric and not blocks.exact_offsets
            assert torch.equal(restored, values), name
    assert carried > 4


def test_constant_q4_1_blocks_keep_their_value() -> None:
    from toolkit.sources.gguf.blocks import unpack_blocks

    block = np.zeros(20, np.uint8)
    block[2:4] = np.frombuffer(np.float16(0.75).tobytes(), np.uint8)
    block[4:] = 0x5A
    restored = unpack_blocks(np.stack([block, np.zeros(20, np.uint8)]), "Q4_1").dequantize()
    assert torch.equal(restored, torch.tensor([[0.75], [0.0]]).expand(2, 32))


def test_half_precision_matrices_have_no_blocks(write_gguf: WriteGguf, settings: Settings) -> None:
    weights = resolve(str(write_gguf("llama-tiny", matrix_type="F16")), settings).weights
    assert all(weights.read_blocks(name) is None for name in weights.names())
    assert weights.read("model.embed_tokens.weight").dtype == torch.float32


def test_k_quants_are_dequantized_but_have_no_blocks(tmp_path: Path) -> None:
    import gguf

    from toolkit.sources.gguf.header import read_header
    from toolkit.sources.gguf.tensors import TENSOR_NAMES
    from toolkit.sources.gguf.weights import GgufWeights

    raw = np.random.default_rng(0).integers(0, 120, (4, 210), dtype=np.uint8)
    path = tmp_path / "k.gguf"
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_tensor("token_embd.weight", raw, raw_dtype=gguf.GGMLQuantizationType.Q6_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    name = "model.embed_tokens.weight"
    weights = GgufWeights(read_header(path), TENSOR_NAMES["qwen2"], [name], query_heads=1, key_heads=1)
    expected = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType.Q6_K)
    assert np.array_equal(weights.read(name).numpy(), expected)
    assert weights.read_blocks(name) is None


def test_source_records_file_and_hash(write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("llama-tiny")
    source = resolve(str(path), settings)
    assert source.name == path.stem
    assert (source.info.kind, source.info.id, source.info.revision) == ("gguf", path.name, None)
    assert [(file.path, file.sha256) for file in source.info.files] == [
        (path.name, sha256_with_progress(path, lambda done, total: None))
    ]


def test_missing_tensor_is_named(write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("llama-tiny", skip=("blk.1.ffn_up.weight",))
    with pytest.raises(MissingWeights, match=r"model\.layers\.1\.mlp\.up_proj\.weight"):
        resolve(str(path), settings)


def test_shape_that_contradicts_the_metadata_is_refused(write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("llama-tiny", metadata={"llama.feed_forward_length": 96})
    with pytest.raises(SourceCorrupt, match="has shape"):
        resolve(str(path), settings)


def test_unknown_architecture_is_named(tmp_path: Path, settings: Settings) -> None:
    import gguf

    path = tmp_path / "other.gguf"
    writer = gguf.GGUFWriter(path, "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UnsupportedModel, match="mamba"):
        resolve(str(path), settings)


def test_metadata_that_is_missing_is_named(write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("qwen2-tiny", metadata={"qwen2.context_length": None})
    with pytest.raises(SourceCorrupt, match=r"qwen2\.context_length"):
        resolve(str(path), settings)


def test_a_part_that_is_not_named_as_one_is_refused(write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("llama-tiny", metadata={"split.count": 3})
    with pytest.raises(MissingWeights, match="one of 3 parts") as caught:
        resolve(str(path), settings)
    assert caught.value.next_step and "-00001-of-00003.gguf" in caught.value.next_step


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


def test_rotary_scaling_that_is_not_llama3_is_refused(write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("llama-tiny", tensors={"rope_freqs.weight": np.linspace(1, 3, 8, dtype=np.float32)})
    with pytest.raises(SourceError, match="rotary scaling"):
        resolve(str(path), settings)


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


FOREIGN = [
    "blk.0.attn_output.bias",
    "blk.0.attn_v.bias",
    "blk.1.ffn_down.bias",
    "output.bias",
    "blk.0.attn_q_norm.weight",
    "blk.2.attn_q.weight",
    "some.other",
]


@pytest.mark.parametrize("name", FOREIGN)
def test_a_tensor_that_is_not_read_is_refused(name: str, write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("llama-tiny", tensors={name: np.ones(64, np.float32)})
    with pytest.raises(SourceError, match=rf"belong to no part.*{name}") as caught:
        resolve(str(path), settings)
    assert caught.value.subject and caught.value.next_step


UNREAD = {
    "rope.scaling.attn_factor": 2.0,
    "rope.scaling.yarn_beta_fast": 8.0,
    "attention.scale": 0.5,
    "logit_scale": 0.25,
    "embedding_scale": 3.0,
    "residual_scale": 0.3,
    "attn_logit_softcapping": 30.0,
    "attention.clamp_kqv": 8.0,
    "something.new": 7,
}
# Their defaults in llama.cpp's hparams are 1, 32, 1 and true: zero says something.
UNREAD_ZEROS = ("rope.scaling.attn_factor", "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow")


@pytest.mark.parametrize("key", UNREAD_ZEROS)
def test_a_zero_is_not_taken_for_nothing_where_the_default_is_another(
    key: str, write_gguf: WriteGguf, settings: Settings
) -> None:
    path = write_gguf("llama-tiny", metadata={f"llama.{key}": 0.0})
    with pytest.raises(SourceError, match=rf"llama\.{key} is 0"):
        resolve(str(path), settings)


def test_attention_that_is_not_causal_is_refused(write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("llama-tiny", metadata={"llama.attention.causal": False})
    with pytest.raises(SourceError, match=r"llama\.attention\.causal is False"):
        resolve(str(path), settings)
    path = write_gguf("llama-tiny", metadata={"llama.attention.causal": True})
    assert resolve(str(path), settings).config.model_type == "llama"


@pytest.mark.parametrize("key", UNREAD)
def test_a_key_that_may_change_the_result_is_refused(
    key: str, write_gguf: WriteGguf, settings: Settings
) -> None:
    path = write_gguf("llama-tiny", metadata={f"llama.{key}": UNREAD[key]})
    with pytest.raises(SourceError, match=rf"llama\.{key}"):
        resolve(str(path), settings)


def test_keys_that_change_nothing_are_accepted(write_gguf: WriteGguf, settings: Settings) -> None:
    neutral = {"rope.scaling.attn_factor": 1.0, "attention.scale": 0.0, "logit_scale": 1.0, "expert_count": 0}
    path = write_gguf("llama-tiny", metadata={f"llama.{key}": value for key, value in neutral.items()})
    assert resolve(str(path), settings).config.rope_parameters["rope_type"] == "default"


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


@pytest.mark.parametrize(
    ("architecture", "metadata", "match"),
    [
        ("llama", {"general.type": "adapter", "adapter.type": "lora"}, "is an adapter"),
        ("clip", {"general.type": "mmproj"}, "projector"),
        ("llama", {"general.type": "imatrix"}, "'imatrix'"),
        ("llama", {"llama.expert_count": 8}, "mixture of 8 experts"),
    ],
)
def test_files_that_are_no_dense_language_model_say_what_they_are(
    architecture: str, metadata: dict[str, Any], match: str, tmp_path: Path, settings: Settings
) -> None:
    import gguf

    path = tmp_path / "other.GGUF"
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in metadata.items():
        (writer.add_string if isinstance(value, str) else writer.add_uint32)(key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises((SourceError, UnsupportedModel), match=match) as caught:
        resolve(str(path), settings)
    assert caught.value.subject and caught.value.next_step


def test_a_folder_of_gguf_files_says_to_name_one(write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("llama-tiny")
    with pytest.raises(SourceNotFound, match="but a GGUF file") as raised:
        resolve(str(path.parent), settings)
    assert raised.value.next_step == f"Give the path of {path.name}."
    assert resolve(str(path), settings).config.model_type == "llama"


def test_the_ending_may_be_in_capitals(write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("llama-tiny")
    renamed = path.rename(path.with_suffix(".GGUF"))
    assert resolve(str(renamed), settings).info.kind == "gguf"


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


def test_layers_slide_where_the_file_says_so(write_gguf: WriteGguf, settings: Settings) -> None:
    key = "gemma3.attention.sliding_window_pattern"
    by_period = resolve(str(write_gguf("gemma3-tiny", metadata={key: 3})), settings).config
    assert by_period.layer_types == ["sliding_attention", "sliding_attention", "full_attention"]
    by_layer = resolve(str(write_gguf("gemma3-tiny", metadata={key: [False, True, True]})), settings).config
    assert by_layer.layer_types == ["full_attention", "sliding_attention", "sliding_attention"]


SENTENCEPIECE = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
SENTENCEPIECE += ["\u2581", "h", "e", "l", "o", "he", "ll", "hell", "hello", "\u2581hello"]


@pytest.mark.parametrize("builtin", ["llama-tiny", "gemma3-tiny", "phi3-tiny"])
def test_a_sentencepiece_tokenizer_is_written_for_transformers(
    builtin: str, write_gguf: WriteGguf, settings: Settings, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    tokens = SENTENCEPIECE + [f"<filler{index}>" for index in range(512 - len(SENTENCEPIECE))]
    path = write_gguf(
        builtin,
        metadata={
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.scores": [float(-index) for index in range(512)],
            "tokenizer.ggml.token_type": [2, 3, 3, *[6] * 256, *[1] * 253],
            "tokenizer.ggml.unknown_token_id": 0,
        },
    )
    ours = tmp_path / "ours"
    ours.mkdir()
    resolve(str(path), settings).write_tokenizer(ours)
    loaded = AutoTokenizer.from_pretrained(ours)
    assert loaded.encode("hello")[0] == 1
    assert loaded.decode(loaded.encode("hello"), skip_special_tokens=True).strip() == "hello"
