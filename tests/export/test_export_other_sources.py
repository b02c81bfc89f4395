"""The commands know nothing of the demo model: other folders and GGUF files convert the same way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conversions import Convert
from gguf_files import GGUF_ARCHITECTURES, write_model
from safetensors.torch import save_file

from toolkit.artifact import Artifact
from toolkit.chat_format import ChatFormat, UnsplitChat
from toolkit.settings import Settings
from toolkit.sources import resolve


@pytest.mark.parametrize("quant", ["8da4w", "source", "mobile-4bit"])
@pytest.mark.parametrize("builtin", ["gemma3-tiny", "llama-tiny"])
def test_a_gguf_file_converts(
    builtin: str,
    quant: str,
    convert_model: Convert,
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / f"{builtin}.gguf"
    source = resolve(f"random:{builtin}", settings)
    size = source.config.vocab_size
    vocabulary = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": ["<unk>", "<s>", "</s>", *(f"t{index}" for index in range(3, size))],
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.scores": [-float(index) for index in range(size)],
        "tokenizer.ggml.token_type": [1] * size,
        "tokenizer.chat_template": "{{ messages | length }} messages",
    }
    write_model(file, source, GGUF_ARCHITECTURES[builtin], matrix_type="Q4_0", metadata=vocabulary)
    artifact = convert_model(str(file), quant)
    parity = artifact.manifest.parity
    assert artifact.manifest.source.kind == "gguf"
    chat = artifact.manifest.chat
    assert isinstance(chat, UnsplitChat) and f"cannot be split into texts around messages: {chat.reason}" in (
        capsys.readouterr().err
    )
    assert parity is not None and parity.passed
    if quant != "8da4w":
        assert artifact.manifest.quantization.linear.algorithm == "source"
    if quant == "source":
        assert parity.mean_kl < 0.02, "only the activations are rounded"


def test_a_folder_of_sharded_safetensors_converts(
    convert_model: Convert, settings: Settings, tmp_path: Path
) -> None:
    source = resolve("random:llama-tiny", settings)
    folder = tmp_path / "my-llama"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(source.config.to_dict()))
    source.write_tokenizer(folder)
    template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}<assistant>"
    (folder / "chat_template.jinja").write_text(template)
    names = source.weights.names()
    shards = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for shard, members in shards.items():
        tensors = {name: source.weights.read(name).to(torch.bfloat16) for name in members}
        save_file(tensors, folder / shard)
    index = {
        "metadata": {},
        "weight_map": {name: shard for shard, members in shards.items() for name in members},
    }
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    artifact = convert_model(str(folder), "fp32")
    parity = artifact.manifest.parity
    assert parity is not None and parity.max_abs_diff < 1e-3
    chat = Artifact.load(artifact.path).manifest.chat
    assert isinstance(chat, ChatFormat)
    assert chat.text(["a", "b", "c"]) == "<user>a\n<assistant>b\n<user>c\n<assistant>"
    assert {entry.path for entry in artifact.manifest.source.files} >= set(shards)
