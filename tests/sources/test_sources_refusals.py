"""A folder of which something would be lost or misread is refused, and the advice given then is accepted."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from changed_folders import (
    SINGLE,
    Change,
    Tensors,
    put_config,
    rewrite,
)
from model_folders import edit_config, write_folder
from safetensors.torch import load_file

from toolkit.errors import SourceError, ToolkitError
from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.sources.adapters import PREFIXES


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    write_folder(tmp_path / "m", settings)
    return tmp_path / "m"


def scaled(dtype: torch.dtype, suffix: str = "weight_scale") -> Callable[[Tensors], Tensors]:
    def change(tensors: Tensors) -> Tensors:
        changed = dict(tensors)
        for name, values in tensors.items():
            if name.endswith("proj.weight"):
                scale = values.abs().max() / 100
                changed[name] = (values / scale).to(dtype)
                changed[name.removesuffix("weight") + suffix] = scale.reshape(1)
        return changed

    return change


def fp8_alone(folder: Path) -> None:
    rewrite(folder, scaled(torch.float8_e4m3fn))


def fp8_without_scales(folder: Path) -> None:
    rewrite(
        folder,
        lambda tensors: {
            name: values.to(torch.float8_e5m2) if name.endswith("proj.weight") else values
            for name, values in tensors.items()
        },
    )


def int8_alone(folder: Path) -> None:
    rewrite(folder, scaled(torch.int8))


def floats_with_scales(folder: Path) -> None:
    rewrite(folder, scaled(torch.float16, "weight_scale_inv"))


def packed(folder: Path) -> None:
    rewrite(
        folder,
        lambda tensors: {
            name.replace("weight", "qweight") if name.endswith("proj.weight") else name: values
            for name, values in tensors.items()
        },
    )


def compression_config(folder: Path) -> None:
    edit_config(folder, compression_config={"quant_method": "compressed-tensors", "format": "int-quantized"})


def nested_config(folder: Path) -> None:
    edit_config(folder, text_config={"quantization_config": {"quant_method": "fbgemm_fp8"}})


def mlx_config(folder: Path) -> None:
    edit_config(folder, quantization={"group_size": 64, "bits": 4})


def modelopt_file(folder: Path) -> None:
    put_config(folder, "hf_quant_config.json", quantization={"quant_algo": "NVFP4"})


def autogptq_file(folder: Path) -> None:
    put_config(folder, "quantize_config.json", bits=4, group_size=128)


def surplus_layers(folder: Path) -> None:
    edit_config(folder, num_hidden_layers=1)


def surplus_layers_by_list(folder: Path) -> None:
    """As configs are saved today: with what each layer is."""
    edit_config(folder, num_hidden_layers=1, layer_types=["full_attention"])


def layer_of_another_kind(folder: Path) -> None:
    """As models store heads that predict several tokens at once, behind their layers."""
    rewrite(
        folder,
        lambda tensors: (
            tensors | {f"model.layers.2.{name}.weight": torch.ones(4) for name in ("eh", "enorm")}
        ),
    )


def layer_with_more_tensors(folder: Path) -> None:
    edit_config(folder, num_hidden_layers=1)
    rewrite(folder, lambda tensors: tensors | {"model.layers.1.eh_proj.weight": torch.ones(4, 4)})


def in_place_of_a_weight(*endings: str) -> Change:
    def change(folder: Path) -> None:
        name = "model.layers.0.self_attn.q_proj"

        def replaced(tensors: Tensors) -> Tensors:
            weight = tensors[f"{name}.weight"]
            kept = {key: values for key, values in tensors.items() if key != f"{name}.weight"}
            return kept | {f"{name}{ending}": weight.clone() for ending in endings}

        rewrite(folder, replaced)

    change.__name__ = f"{endings[0]} in place of a weight"
    return change


HQQ = in_place_of_a_weight(".W_q", ".zero")
MXFP4 = in_place_of_a_weight("_blocks", "_scales")
WEIGHT_NORM = in_place_of_a_weight(".weight_g", ".weight_v")
PARAMETRIZED = in_place_of_a_weight(".parametrizations.weight.original0")


def link_to_nothing(name: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(folder.parent / "blobs" / "0123")

    change.__name__ = f"link to no {name}"
    return change


def pointer_to(name: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:01\nsize 1234\n")

    change.__name__ = f"pointer to {name}"
    return change


WEIGHTS_POINTER, CONFIG_POINTER = pointer_to("model.safetensors"), pointer_to("config.json")
WEIGHTS_LINK, INDEX_LINK = link_to_nothing("model.safetensors"), link_to_nothing(f"{SINGLE}.index.json")
CONFIG_LINK, GENERATION_LINK = link_to_nothing("config.json"), link_to_nothing("generation_config.json")


def classifier(folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors | {"score.weight": torch.zeros(2, 64)})


def foreign_tensor(folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors | {"model.layers.0.self_attn.q_proj.bias": torch.ones(64)})


def adapter_beside(folder: Path) -> None:
    put_config(folder, "adapter_config.json", peft_type="LORA", base_model_name_or_path="someone/base")


def adapter_alone(folder: Path) -> None:
    adapter_beside(folder)
    (folder / "config.json").unlink()
    (folder / "model.safetensors").unlink()


def adapter_weights_alone(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")


def adapter_in_the_file(folder: Path) -> None:
    lora = {f"model.layers.0.self_attn.q_proj.lora_{part}.weight": torch.ones(4, 64) for part in "AB"}
    rewrite(folder, lambda tensors: tensors | lora)


def unmerged_state(folder: Path) -> None:
    rewrite(
        folder,
        lambda tensors: {
            f"base_model.model.{name.replace('q_proj.weight', 'q_proj.base_layer.weight')}": values
            for name, values in tensors.items()
        },
    )


def consolidated_alone(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "consolidated.safetensors")


def another_name_alone(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "llama.safetensors")


def pth_alone(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "consolidated.00.pth")
    (folder / "model.safetensors").unlink()


TORCHTUNE = {
    "model.embed_tokens": "tok_embeddings",
    "model.layers": "layers",
    "self_attn.o_proj": "attn.output_proj",
    "self_attn": "attn",
    "input_layernorm.weight": "sa_norm.scale",
    "post_attention_layernorm.weight": "mlp_norm.scale",
    "mlp.gate_proj": "mlp.w1",
    "mlp.down_proj": "mlp.w2",
    "mlp.up_proj": "mlp.w3",
    "model.norm.weight": "norm.scale",
    "lm_head": "output",
}
META = TORCHTUNE | {
    "self_attn.o_proj": "attention.wo",
    "self_attn.q_proj": "attention.wq",
    "self_attn.k_proj": "attention.wk",
    "self_attn.v_proj": "attention.wv",
    "self_attn": "attention",
    "input_layernorm.weight": "attention_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "mlp": "feed_forward",
    "model.norm.weight": "norm.weight",
}


def named_by(names: dict[str, str]) -> Change:
    def renamed_(name: str) -> str:
        for theirs, other in names.items():
            name = name.replace(theirs, other)
        return name

    return lambda folder: rewrite(folder, lambda tensors: {renamed_(k): v for k, v in tensors.items()})


def torchtune(folder: Path) -> None:
    named_by(TORCHTUNE)(folder)


def meta(folder: Path) -> None:
    named_by(META)(folder)


def fused(*parts: str, whole: str) -> Change:
    """Several matrices stored as one, as Phi-3 and others do."""

    def joined(tensors: Tensors) -> Tensors:
        kept = {name: values for name, values in tensors.items() if not any(part in name for part in parts)}
        for name in tensors:
            if parts[0] in name:
                pieces = [tensors[name.replace(parts[0], part)] for part in parts]
                kept[name.replace(parts[0], whole)] = torch.cat(pieces)
        return kept

    def change(folder: Path) -> None:
        rewrite(folder, joined)

    change.__name__ = f"{whole} in one"
    return change


QKV, GATE_UP = (
    fused("q_proj", "k_proj", "v_proj", whole="qkv_proj"),
    fused("gate_proj", "up_proj", whole="gate_up_proj"),
)


def cut_apart(folder: Path) -> None:
    """As the refusal advises; the rows are those of the config."""
    rows = {"qkv_proj": {"q_proj": 64, "k_proj": 32, "v_proj": 32}}

    def cut(tensors: Tensors) -> Tensors:
        kept = {}
        for name, values in tensors.items():
            if "qkv_proj" not in name:
                kept[name] = values
                continue
            pieces = torch.split(values, list(rows["qkv_proj"].values()))
            kept |= {
                name.replace("qkv_proj", part): piece.clone()
                for part, piece in zip(rows["qkv_proj"], pieces, strict=True)
            }
        return kept

    rewrite(folder, cut)


def pickled(name: str, change: Callable[[Tensors], Any]) -> Change:
    def changed(folder: Path) -> None:
        tensors = {key: values.clone() for key, values in load_file(folder / "model.safetensors").items()}
        (folder / "model.safetensors").unlink()
        torch.save(change(tensors), folder / "pytorch_model.bin")

    changed.__name__ = name
    return changed


NORM = "model.norm.weight"
TRAINING = pickled("state of a training", lambda tensors: {"model_state": tensors, "step": 3})
SPARSE = pickled("sparse tensor", lambda tensors: tensors | {NORM: tensors[NORM].to_sparse()})
META_DEVICE = pickled("tensor without numbers", lambda tensors: tensors | {NORM: tensors[NORM].to("meta")})


def weights_alone(folder: Path) -> None:
    file = folder / "pytorch_model.bin"
    torch.save(torch.load(file)["model_state"], file)


def index_of(*shards: Any) -> Change:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "weights.safetensors")
        weight_map = {f"tensor{number}": shard for number, shard in enumerate(shards)}
        put_config(folder, "model.safetensors.index.json", metadata={}, weight_map=weight_map)

    change.__name__ = f"index of {shards}"
    return change


NO_SHARD, SHARD_BELOW, NULL_SHARD = (
    index_of(),
    index_of("below/a.safetensors"),
    index_of(None, "a.safetensors"),
)


def checkpoints_of_a_training(folder: Path) -> None:
    for step in (100, 90):
        (folder / f"checkpoint-{step}").mkdir()
        for name in ("config.json", "model.safetensors"):
            shutil.copy(folder / name, folder / f"checkpoint-{step}" / name)
        os.utime(folder / f"checkpoint-{step}" / "config.json", (step, step))
    (folder / "config.json").unlink()
    (folder / "model.safetensors").unlink()


def quantization_in_a_word(folder: Path) -> None:
    edit_config(folder, quantization_config="awq")


def bnb_left_behind(folder: Path) -> None:
    """What QLoRA's merging often leaves: floats, and the block of the 4-bit model they were loaded as."""
    edit_config(folder, quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})


def without_the_block(folder: Path) -> None:
    fields = json.loads((folder / "config.json").read_text())
    del fields["quantization_config"]
    (folder / "config.json").write_text(json.dumps(fields))


def artifact(folder: Path) -> None:
    (folder / "config.json").rename(folder / "manifest.json")


REFUSED = {
    fp8_alone: "FP8",
    fp8_without_scales: "FP8",
    int8_alone: "INT8",
    floats_with_scales: "weight_scale_inv",
    packed: "qweight",
    compression_config: "compressed-tensors; compression_config in config.json",
    nested_config: "fbgemm_fp8; text_config.quantization_config",
    mlx_config: "4-bit; quantization in config.json",
    modelopt_file: "NVFP4; hf_quant_config.json",
    autogptq_file: "4-bit; quantize_config.json",
    surplus_layers: "hold 2 layers, the config says 1",
    surplus_layers_by_list: "hold 2 layers, the config says 1",
    layer_of_another_kind: "and layer 2 is not like those",
    layer_with_more_tensors: "and layer 1 is not like those",
    HQQ: "q_proj.weight is stored in another form (model.layers.0.self_attn.q_proj.W_q",
    MXFP4: "in another form (model.layers.0.self_attn.q_proj_blocks",
    WEIGHT_NORM: "in another form (model.layers.0.self_attn.q_proj.weight_g",
    PARAMETRIZED: "in another form (model.layers.0.self_attn.q_proj.parametrizations",
    WEIGHTS_POINTER: "is a git-lfs pointer",
    CONFIG_POINTER: "is a git-lfs pointer",
    WEIGHTS_LINK: "is a link to a file that is not there",
    INDEX_LINK: "is a link to a file that is not there",
    CONFIG_LINK: "is a link to a file that is not there",
    GENERATION_LINK: "is a link to a file that is not there",
    classifier: "classifier or reward model",
    foreign_tensor: "belong to no part of the model: model.layers.0.self_attn.q_proj.bias",
    adapter_beside: "an adapter (adapter_config.json: LORA of someone/base)",
    adapter_alone: "is an adapter (LORA of someone/base), not a whole model",
    adapter_weights_alone: "an adapter's weights only",
    adapter_in_the_file: "an adapter that is not merged",
    unmerged_state: "an adapter that is not merged",
    consolidated_alone: "their publisher's own layout",
    another_name_alone: "a name that transformers does not read",
    pth_alone: "their publisher's own layout",
    TRAINING: "its weights lie within 'model_state'",
    SPARSE: "model.norm.weight is torch.sparse_coo, no plain tensor",
    META_DEVICE: "model.norm.weight is without numbers",
    NO_SHARD: "the index names no file",
    SHARD_BELOW: "the index names 'below/a.safetensors', no file beside it",
    NULL_SHARD: "the index names None, no file beside it",
    checkpoints_of_a_training: "no config.json in the folder, but one in checkpoint-100",
    quantization_in_a_word: "quantization_config in config.json is 'awq'",
    bnb_left_behind: "bitsandbytes; quantization_config in config.json",
    artifact: "an artifact, converted already",
    torchtune: "the names of torchtune (layers.0.attn.",
    meta: "the names of their publisher",
    QKV: "q_proj, k_proj, v_proj are stored as one matrix (model.layers.0.self_attn.qkv_proj.weight)",
    GATE_UP: "gate_proj, up_proj are stored as one matrix",
}


@pytest.mark.parametrize("change", REFUSED, ids=lambda change: change.__name__)
def test_what_would_be_lost_or_misread_is_refused(change: Change, folder: Path, settings: Settings) -> None:
    change(folder)
    with pytest.raises(SourceError) as caught:
        resolve(str(folder), settings, trust_remote_code=True)
    assert REFUSED[change] in caught.value.what
    assert caught.value.subject and caught.value.next_step


def test_every_adapter_of_peft_is_known_for_one() -> None:
    from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING

    assert {prefix.removesuffix("_") for prefix in PEFT_TYPE_TO_PREFIX_MAPPING.values()} <= set(PREFIXES)


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.0.self_attn.q_proj.boft_R.default",
        "model.embed_tokens.token_adapter.trainable_tokens_delta.default",
        "model.layers.0.input_layernorm.ln_tuning_layers.default.weight",
        "model.layers.0.self_attn.adaption_prompt",
        "model.layers.0.adapters.down.weight",
        "model.layers.0.self_attn.q_proj.lora_magnitude_vector.default.weight",
    ],
)
def test_nobody_is_advised_to_throw_an_adapter_away(name: str, folder: Path, settings: Settings) -> None:
    rewrite(folder, lambda tensors: tensors | {name: torch.ones(4)})
    with pytest.raises(SourceError, match="an adapter that is not merged") as caught:
        resolve(str(folder), settings)
    assert (caught.value.next_step or "").startswith("Merge the adapter first")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_of_a_folder_is_no_model(name: str, folder: Path, settings: Settings) -> None:
    with pytest.raises(SourceError, match=r"is a file, and no GGUF file") as caught:
        resolve(str(folder / name), settings)
    assert (caught.value.next_step or "").endswith(str(folder))
    assert resolve(str(folder), settings).weights.names()


def merged(folder: Path) -> None:
    """What merging an adapter leaves."""
    (folder / "adapter_config.json").unlink(missing_ok=True)


def renamed(folder: Path) -> None:
    (folder / "llama.safetensors").rename(folder / "model.safetensors")


def more_layers(folder: Path) -> None:
    edit_config(folder, num_hidden_layers=2)


def more_layers_by_list(folder: Path) -> None:
    edit_config(folder, num_hidden_layers=2, layer_types=["full_attention"] * 2)


def without_foreign_tensors(folder: Path) -> None:
    rewrite(folder, lambda tensors: {k: v for k, v in tensors.items() if not k.endswith("q_proj.bias")})


def without_layers_beyond(folder: Path) -> None:
    rewrite(folder, lambda tensors: {k: v for k, v in tensors.items() if ".layers.2." not in k})


def without_the_link(folder: Path) -> None:
    (folder / "generation_config.json").unlink()


NEXT_STEPS = [
    (layer_of_another_kind, without_layers_beyond),
    (GENERATION_LINK, without_the_link),
    (adapter_beside, merged),
    (another_name_alone, renamed),
    (surplus_layers, more_layers),
    (surplus_layers_by_list, more_layers_by_list),
    (foreign_tensor, without_foreign_tensors),
    (QKV, cut_apart),
    (TRAINING, weights_alone),
    (bnb_left_behind, without_the_block),
    (quantization_in_a_word, without_the_block),
]


@pytest.mark.parametrize(("change", "advice"), NEXT_STEPS, ids=lambda change: change.__name__)
def test_the_next_step_of_a_refusal_is_accepted(
    change: Change, advice: Change, folder: Path, settings: Settings
) -> None:
    change(folder)
    with pytest.raises(ToolkitError):
        resolve(str(folder), settings)
    advice(folder)
    assert resolve(str(folder), settings, trust_remote_code=True).weights.names()
