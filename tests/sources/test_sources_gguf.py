"""GGUF files: tensors of every architecture, every change of llama.cpp undone, blocks carried over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf_files import GGUF_ARCHITECTURES, WriteGguf

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


def test_the_ending_may_be_in_capitals(write_gguf: WriteGguf, settings: Settings) -> None:
    path = write_gguf("llama-tiny")
    renamed = path.rename(path.with_suffix(".GGUF"))
    assert resolve(str(renamed), settings).info.kind == "gguf"


# Ollama's blobs, a browser's unfinished names, names without an ending.
@pytest.mark.parametrize("name", ["sha256-" + "ab" * 32, "model.gguf.part", "model.Q4_0", "model"])
def test_a_gguf_file_is_one_whatever_its_name_is(
    name: str, write_gguf: WriteGguf, settings: Settings, tmp_path: Path
) -> None:
    renamed = tmp_path / name
    renamed.write_bytes(write_gguf("llama-tiny").read_bytes())
    source = resolve(str(renamed), settings)
    assert (source.info.kind, source.name) == ("gguf", name)


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
