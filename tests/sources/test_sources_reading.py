"""What our reader reads is what transformers reads from the same folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from changed_folders import (
    EMBEDDING,
    HEAD,
    SINGLE,
    Change,
    Tensors,
    loaded_by_transformers,
    other_head,
    put_config,
    rewrite,
)
from model_folders import edit_config, shard, write_folder
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from toolkit.capture.capture import capture
from toolkit.capture.skeleton import build_skeleton
from toolkit.errors import SourceError
from toolkit.inference.original import whole_original
from toolkit.settings import Settings
from toolkit.sources import resolve


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    write_folder(tmp_path / "m", settings)
    return tmp_path / "m"


def tied(folder: Path) -> None:
    edit_config(folder, tie_word_embeddings=True)
    rewrite(folder, lambda tensors: {k: v for k, v in tensors.items() if k != HEAD})


def tied_with_another_head(folder: Path) -> None:
    edit_config(folder, tie_word_embeddings=True)
    rewrite(folder, other_head)


def tied_with_the_same_head(folder: Path) -> None:
    edit_config(folder, tie_word_embeddings=True)
    rewrite(folder, lambda tensors: tensors | {HEAD: tensors[EMBEDDING].clone()})


def tied_with_a_head_only(folder: Path) -> None:
    edit_config(folder, tie_word_embeddings=True)
    rewrite(folder, lambda tensors: {k: v for k, v in other_head(tensors).items() if k != EMBEDDING})


def untied(folder: Path) -> None:
    edit_config(folder, tie_word_embeddings=False)
    rewrite(folder, other_head)


def newer_whole_file_beside_shards(folder: Path) -> None:
    newer = {name: values + 1 for name, values in load_file(folder / "model.safetensors").items()}
    shard(folder)
    save_file(newer, folder / "model.safetensors", metadata={"format": "pt"})


def whole_file_beside_an_index_without_shards(folder: Path) -> None:
    newer_whole_file_beside_shards(folder)
    for file in folder.glob("model-*.safetensors"):
        file.unlink()


def whole_file_beside_strays(folder: Path) -> None:
    strays = {name: values + 1 for name, values in load_file(folder / "model.safetensors").items()}
    save_file(strays, folder / "consolidated.safetensors", metadata={"format": "pt"})
    save_file(strays, folder / "another.safetensors", metadata={"format": "pt"})
    for name in ("pytorch_model.bin", "consolidated.00.pth", "optimizer.pt", "training_args.bin"):
        torch.save(strays, folder / name)


def shards_beside_strays(folder: Path) -> None:
    shards = load_file(folder / "model.safetensors")
    whole_file_beside_strays(folder)
    save_file(shards, folder / "model.safetensors", metadata={"format": "pt"})
    shard(folder)


def file_named_in_the_config(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    save_file({"x": torch.zeros(1)}, folder / "model.safetensors", metadata={"format": "pt"})
    edit_config(folder, transformers_weights="weights.safetensors")


def old_buffers(folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)})


def body_named_twice(folder: Path) -> None:
    rewrite(
        folder, lambda tensors: {name.replace("model.", "model.model.", 1): v for name, v in tensors.items()}
    )


def all_below_the_body(folder: Path) -> None:
    """As a training saves a model that is a part of its own, named ``model``."""
    rewrite(folder, lambda tensors: {f"model.{name}": values for name, values in tensors.items()})


def pickled_before_torch_1_6(folder: Path) -> None:
    tensors = {name: values.clone() for name, values in load_file(folder / SINGLE).items()}
    (folder / SINGLE).unlink()
    torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)


def pickled_beside_a_step(folder: Path) -> None:
    tensors: dict[Any, Any] = {name: values.clone() for name, values in load_file(folder / SINGLE).items()}
    (folder / SINGLE).unlink()
    torch.save(tensors | {"step": 3, "epoch": 1.5}, folder / "pytorch_model.bin")


READ = [
    tied,
    tied_with_another_head,
    tied_with_the_same_head,
    tied_with_a_head_only,
    untied,
    newer_whole_file_beside_shards,
    whole_file_beside_an_index_without_shards,
    whole_file_beside_strays,
    shards_beside_strays,
    file_named_in_the_config,
    old_buffers,
    body_named_twice,
    all_below_the_body,
    pickled_before_torch_1_6,
    pickled_beside_a_step,
]


@pytest.mark.parametrize("change", READ, ids=lambda change: change.__name__)
def test_a_folder_is_read_as_transformers_reads_it(change: Change, folder: Path, settings: Settings) -> None:
    change(folder)
    theirs = loaded_by_transformers(folder)
    source = resolve(str(folder), settings, trust_remote_code=True)
    ours = {name: source.weights.read(name) for name in source.weights.names()}
    if source.config.tie_word_embeddings:
        ours[HEAD] = ours[EMBEDDING]
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        assert torch.equal(ours[name], values), name


@pytest.mark.parametrize(
    "prefix",
    ["language_model.model.", "model.language_model.", "model.text_model.", "thinker.model.", "llm."],
)
def test_the_text_decoder_of_a_larger_model_is_taken_and_said(
    prefix: str, folder: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    written = load_file(folder / "model.safetensors")
    text = json.loads((folder / "config.json").read_text())
    put_config(folder, "config.json", model_type="llava", text_config=text, tie_word_embeddings=False)
    tower = {f"vision_tower.layers.{layer}.self_attn.q_proj.weight": torch.zeros(4, 4) for layer in range(3)}
    # Of Gemma 3, and no part of an adapter (oft_).
    tower["multi_modal_projector.mm_soft_emb_norm.weight"] = torch.zeros(4)
    rewrite(
        folder,
        lambda tensors: (
            tower | {name.replace("model.", prefix, 1): values for name, values in tensors.items()}
        ),
    )
    source = resolve(str(folder), settings)
    assert source.config.model_type == "llama"
    assert all(torch.equal(source.weights.read(name), values) for name, values in written.items())
    assert "text decoder is taken, without vision_tower (3 tensors)" in capsys.readouterr().err
    rewrite(folder, lambda tensors: tensors | {f"{prefix}layers.0.self_attn.q_proj.bias": torch.zeros(64)})
    with pytest.raises(SourceError, match=r"belong to no part of the model.*q_proj\.bias"):
        resolve(str(folder), settings)


ZAMBA2 = Path(__file__).parents[1] / "families" / "configs" / "zamba2.json"
SHARED = "model.layers.3.shared_transformer.feed_forward.down_proj.weight"


def shared_layers(folder: Path, settings: Settings) -> Tensors:
    """A Zamba 2 whose two hybrid layers are one block; its tensors as published."""
    fields = json.loads(ZAMBA2.read_text())
    kinds = ["linear_attention", "hybrid"] * 2
    fields |= {"num_hidden_layers": len(kinds), "layers_block_type": kinds, "num_mem_blocks": 1}
    config = folder.with_suffix(".json")
    config.write_text(json.dumps(fields))
    return write_folder(folder, settings, str(config))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("copied", [False, True], ids=["equal", "differing"])
def test_a_copy_of_a_shared_layer_is_taken_as_transformers_takes_it(
    copied: bool, tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "m"
    written = shared_layers(folder, settings)
    first = SHARED.replace("layers.3", "layers.1")
    assert first in written and SHARED not in written and HEAD not in written
    rewrite(folder, lambda tensors: tensors | {SHARED: tensors[first] + int(copied)})
    theirs = loaded_by_transformers(folder)
    source = resolve(str(folder), settings)
    weights = source.weights
    said = f"not tied, since both are stored and differ: {SHARED} and {first}"
    assert (said in capsys.readouterr().err) == copied
    for name in weights.names():
        assert torch.equal(weights.read(name), theirs[name]), name
    assert (SHARED in weights.names()) == (HEAD in weights.names()) == copied
    assert torch.equal(theirs[SHARED], weights.read(SHARED if copied else first))


@pytest.mark.parametrize(
    "said",
    [
        {"_attn_implementation": "flash_attention_2"},
        {"attn_implementation": "made_up"},
        {"_experts_implementation": "grouped_mm"},
        {"return_dict": False},
    ],
    ids=lambda said: next(iter(said)),
)
def test_how_a_model_was_run_says_nothing_about_what_it_computes(
    said: dict[str, object], folder: Path, settings: Settings
) -> None:
    """transformers itself does not load the first three where the kernels are not installed."""
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    edit_config(folder, **said)
    source = resolve(str(folder), settings)
    capture(build_skeleton(source.config), source.config)
    judge = whole_original(source, 1)
    ids = torch.arange(8)[None]
    with torch.no_grad():
        assert judge is not None and torch.equal(judge(ids).logits, plain(ids).logits)
