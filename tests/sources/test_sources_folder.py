"""Folders in Hugging Face's layout: single, sharded, damaged, untrusted."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from model_folders import edit_config, shard, write_folder
from safetensors.torch import load_file, save_file

from toolkit.errors import (
    MissingWeights,
    SourceCorrupt,
    SourceError,
    SourceNotFound,
    UnsupportedModel,
    UntrustedSource,
    UsageError,
)
from toolkit.settings import Settings
from toolkit.sources import resolve


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    write_folder(tmp_path / "my model", settings)
    return tmp_path / "my model"


@pytest.mark.parametrize("builtin", ["llama-tiny", "mistral-tiny", "phi3-tiny", "gemma3-tiny", "gpt2-tiny"])
def test_tensors_are_read_in_the_models_order(builtin: str, tmp_path: Path, settings: Settings) -> None:
    written = write_folder(tmp_path / "m", settings, builtin)
    source = resolve(str(tmp_path / "m"), settings)
    assert source.weights.names() == list(written)
    for name, values in written.items():
        assert torch.equal(source.weights.read(name), values)
        assert source.weights.shape(name) == tuple(values.shape)
        assert source.weights.read_blocks(name) is None


def test_half_precision_is_read_as_float32(folder: Path, settings: Settings) -> None:
    path = folder / "model.safetensors"
    halves = {name: values.to(torch.bfloat16) for name, values in load_file(path).items()}
    save_file(halves, path)
    source = resolve(str(folder), settings)
    for name, values in halves.items():
        read = source.weights.read(name)
        assert read.dtype == torch.float32
        assert torch.equal(read, values.float())


def test_names_and_hashes_are_recorded(folder: Path, settings: Settings) -> None:
    source = resolve(str(folder), settings)
    assert source.name == "my-model"
    assert (source.info.kind, source.info.id, source.info.revision) == ("folder", "my model", None)
    (entry,) = source.info.files
    assert entry.path == "model.safetensors"
    assert re.fullmatch("[0-9a-f]{64}", entry.sha256)


def test_sharded_weights_are_read(folder: Path, settings: Settings) -> None:
    whole = load_file(folder / "model.safetensors")
    shards = shard(folder)
    source = resolve(str(folder), settings)
    assert [entry.path for entry in source.info.files] == shards
    assert all(torch.equal(source.weights.read(name), whole[name]) for name in source.weights.names())


def test_missing_shard_is_named(folder: Path, settings: Settings) -> None:
    lost = shard(folder)[1]
    (folder / lost).unlink()
    with pytest.raises(MissingWeights, match=lost):
        resolve(str(folder), settings)


def test_index_pointing_elsewhere_is_refused(folder: Path, settings: Settings) -> None:
    shard(folder)
    index = {"metadata": {}, "weight_map": {"a": "../../etc/passwd"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(SourceCorrupt, match="no file beside it"):
        resolve(str(folder), settings)


@pytest.mark.parametrize("content", ["{", "[]", '{"weight_map": 3}', '{"weight_map": {"a": 1}}'])
def test_damaged_index_is_corrupt(folder: Path, settings: Settings, content: str) -> None:
    shard(folder)
    (folder / "model.safetensors.index.json").write_text(content)
    with pytest.raises(SourceCorrupt):
        resolve(str(folder), settings)


def test_missing_tensors_are_named(folder: Path, settings: Settings) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["model.layers.1.self_attn.q_proj.weight"], tensors["model.norm.weight"]
    save_file(tensors, path)
    with pytest.raises(MissingWeights, match=r"2 of .*layers\.1\.self_attn\.q_proj\.weight, model\.norm"):
        resolve(str(folder), settings)


def test_shape_that_contradicts_the_config_is_refused(folder: Path, settings: Settings) -> None:
    edit_config(folder, intermediate_size=96)
    with pytest.raises(SourceCorrupt, match="has shape"):
        resolve(str(folder), settings)


def test_truncated_safetensors_are_corrupt_wherever_they_are_cut(folder: Path, settings: Settings) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    cuts = [0, 1, 7, 8, 9, 100, len(content) - 1]
    cuts += random.Random(2).sample(range(len(content)), 25)
    for cut in cuts:
        path.write_bytes(content[:cut])
        with pytest.raises(SourceCorrupt, match=r"model\.safetensors"):
            resolve(str(folder), settings)


def test_header_length_beyond_the_file_is_corrupt(folder: Path, settings: Settings) -> None:
    path = folder / "model.safetensors"
    path.write_bytes((2**62).to_bytes(8, "little") + path.read_bytes()[8:])
    with pytest.raises(SourceCorrupt):
        resolve(str(folder), settings)


def test_file_cut_after_opening_is_corrupt(folder: Path, settings: Settings) -> None:
    source = resolve(str(folder), settings)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(SourceCorrupt):
        source.weights.read(source.weights.names()[0])


def test_pickled_weights_need_trust(folder: Path, settings: Settings) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    with pytest.raises(UntrustedSource, match="--trust-remote-code"):
        resolve(str(folder), settings)
    source = resolve(str(folder), settings, trust_remote_code=True)
    assert all(torch.equal(source.weights.read(name), tensors[name]) for name in source.weights.names())


def test_trusted_pickle_still_may_not_run_code(folder: Path, settings: Settings, tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    (folder / "model.safetensors").unlink()
    torch.save({"model.norm.weight": Touch()}, folder / "pytorch_model.bin")
    with pytest.raises(SourceCorrupt, match="plain tensors"):
        resolve(str(folder), settings, trust_remote_code=True)
    assert not (tmp_path / "ran").exists()


def test_remote_code_needs_trust(folder: Path, settings: Settings) -> None:
    edit_config(folder, model_type="novel", auto_map={"AutoConfig": "configuration_novel.NovelConfig"})
    with pytest.raises(UntrustedSource, match="--trust-remote-code"):
        resolve(str(folder), settings)


def test_remote_code_of_a_known_model_type_is_ignored(folder: Path, settings: Settings) -> None:
    edit_config(folder, auto_map={"AutoConfig": "configuration_evil.Evil"})
    config = resolve(str(folder), settings).config
    assert type(config).__name__ == "LlamaConfig"
    assert not hasattr(config, "auto_map")


def test_unknown_model_type_is_named(folder: Path, settings: Settings) -> None:
    edit_config(folder, model_type="lama")
    with pytest.raises(UnsupportedModel, match="'lama'"):
        resolve(str(folder), settings)


def test_model_that_is_no_decoder_is_unsupported(folder: Path, settings: Settings) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(UnsupportedModel, match="'vit'"):
        resolve(str(folder), settings)


@pytest.mark.parametrize("content", ["{", "[1]", '{"model_type": "llama", "hidden_size": "many"}'])
def test_damaged_config_is_corrupt(folder: Path, settings: Settings, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(SourceCorrupt):
        resolve(str(folder), settings)


def test_a_padding_token_beyond_the_embedding_is_corrupt(folder: Path, settings: Settings) -> None:
    edit_config(folder, pad_token_id=2**32 - 1)
    with pytest.raises(SourceCorrupt, match="Padding_idx"):
        resolve(str(folder), settings)


def test_a_config_that_contradicts_itself_is_refused_with_the_reason(
    folder: Path, settings: Settings
) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 127, "head_dim": None}))
    with pytest.raises(SourceCorrupt, match="not a multiple of the number of attention heads"):
        resolve(str(folder), settings)


def test_weights_quantized_elsewhere_are_refused(folder: Path, settings: Settings) -> None:
    edit_config(folder, quantization_config={"quant_method": "gptq", "bits": 4})
    with pytest.raises(SourceError, match="gptq"):
        resolve(str(folder), settings)


def test_folder_without_config_or_weights_is_not_found(folder: Path, settings: Settings) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(SourceNotFound, match="safetensors"):
        resolve(str(folder), settings)
    (folder / "config.json").unlink()
    with pytest.raises(SourceNotFound, match=r"config\.json"):
        resolve(str(folder), settings)


def test_revision_of_a_folder_makes_no_sense(folder: Path, settings: Settings) -> None:
    with pytest.raises(UsageError, match="--revision"):
        resolve(str(folder), settings, revision="main")


def test_decoder_of_a_multimodal_model_is_found(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "vision"
    tensors = write_folder(folder, settings, "gemma3-tiny")
    text_config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({"model_type": "gemma3", "text_config": text_config}))
    wrapped = {f"language_model.{name}": values for name, values in tensors.items()}
    save_file(wrapped | {"vision_tower.patch": torch.zeros(2)}, folder / "model.safetensors")
    source = resolve(str(folder), settings)
    assert source.config.model_type == "gemma3_text"
    assert all(torch.equal(source.weights.read(name), tensors[name]) for name in tensors)


def test_base_model_without_prefix_is_found(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "gpt2"
    tensors = write_folder(folder, settings, "gpt2-tiny")
    bare = {name.removeprefix("transformer."): values for name, values in tensors.items()}
    save_file(bare, folder / "model.safetensors")
    weights = resolve(str(folder), settings).weights
    assert all(torch.equal(weights.read(name), tensors[name]) for name in tensors)


def test_tokenizer_files_are_written(folder: Path, settings: Settings, tmp_path: Path) -> None:
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    target = tmp_path / "out"
    target.mkdir()
    written = resolve(str(folder), settings).write_tokenizer(target)
    assert sorted(written.names) == sorted(path.name for path in target.iterdir())
    assert written.chat_template == "chat_template.jinja"
    assert {"tokenizer.json", "tokenizer_config.json", "generation_config.json"} <= set(written.names)
    from tokenizers import Tokenizer

    texts = [Tokenizer.from_file(str(place / "tokenizer.json")).encode("a 1 é") for place in (folder, target)]
    assert texts[0].ids == texts[1].ids


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages }}",
        [{"name": "tool", "template": "t"}, {"name": "default", "template": "{{ messages }}"}],
    ],
)
def test_chat_template_inside_the_tokenizer_config_becomes_a_file(
    folder: Path, settings: Settings, tmp_path: Path, template: Any
) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": template}))
    target = tmp_path / "out"
    target.mkdir()
    written = resolve(str(folder), settings).write_tokenizer(target)
    assert written.chat_template == "chat_template.jinja"
    assert (target / "chat_template.jinja").read_text() == "{{ messages }}"


def test_hashes_are_remembered_until_the_file_changes(
    folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toolkit.sources import checksums

    hashed: list[Path] = []
    real = checksums.sha256_with_progress
    monkeypatch.setattr(
        checksums, "sha256_with_progress", lambda file, p: hashed.append(file) or real(file, p)
    )
    first = resolve(str(folder), settings).info
    assert resolve(str(folder), settings).info == first
    assert len(hashed) == 1
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file({name: values + 1 for name, values in tensors.items()}, path)
    assert resolve(str(folder), settings).info.files[0].sha256 != first.files[0].sha256
    assert len(hashed) == 2


def test_other_weights_with_the_same_size_and_time_are_hashed_again(folder: Path, settings: Settings) -> None:
    """Archives unpack with the times that they hold: two fine-tunes may share theirs."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file(tensors, path)
    before = path.stat()
    first = resolve(str(folder), settings).info.files[0]
    save_file({name: values + 1 for name, values in tensors.items()}, path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    found = resolve(str(folder), settings).info.files[0].sha256
    assert found == hashlib.sha256(path.read_bytes()).hexdigest() != first.sha256


def test_damaged_hash_record_is_replaced(folder: Path, settings: Settings) -> None:
    first = resolve(str(folder), settings).info
    for record in (settings.cache_dir / "sha256").iterdir():
        record.write_text("[]")
    assert resolve(str(folder), settings).info == first
