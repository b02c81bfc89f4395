"""Changes of a model folder, as merging, pruning, renaming and cut downloads make them."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

_ODD: tuple[Any, ...] = (None, True, False, -1, 0, 1, 3, 64, 10**9, 0.5, "", "many", [], [1, 2], {}, {"a": 1})
_KEYS = (
    "tie_word_embeddings", "num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads",
    "intermediate_size", "vocab_size", "rms_norm_eps", "rope_theta", "rope_parameters", "rope_scaling",
    "hidden_act", "head_dim", "attention_bias", "mlp_bias", "model_type", "architectures", "dtype",
    "torch_dtype", "quantization_config", "max_position_embeddings", "pretraining_tp",
    "initializer_range", "bos_token_id",
    "eos_token_id", "pad_token_id", "text_config", "auto_map", "transformers_weights", "use_cache",
)  # fmt: skip
_NAMES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "model-00001-of-00002.safetensors",
)
_TYPES = (
    torch.float16,
    torch.bfloat16,
    torch.float64,
    torch.int8,
    torch.int64,
    torch.bool,
    torch.float8_e4m3fn,
)


def mutate_model(folder: Path, rng: random.Random) -> str:
    """Change one or two things; says what was done."""
    ways = (_of_config, _of_tensors, _of_tensors, _of_names, _of_bytes, _of_files)
    return "; ".join(rng.choice(ways)(folder, rng) for _ in range(rng.choice((1, 1, 2))))


def _of_config(folder: Path, rng: random.Random) -> str:
    path = folder / "config.json"
    try:
        fields = json.loads(path.read_text())
    except ValueError:
        return "nothing"
    key = rng.choice(_KEYS)
    if key in fields and rng.random() < 0.3:
        del fields[key]
        what = f"config without {key}"
    else:
        old = fields.get(key)
        near = (old - 1, old + 1, old * 2) if isinstance(old, int) and not isinstance(old, bool) else _ODD
        fields[key] = rng.choice(near if rng.random() < 0.5 else _ODD)
        what = f"config {key}={fields[key]!r}"
    path.write_text(json.dumps(fields))
    return what


def _of_tensors(folder: Path, rng: random.Random) -> str:
    def change(tensors: dict[str, torch.Tensor]) -> str:
        name = rng.choice(sorted(tensors))
        way = rng.choice(("drop", "copy", "type", "turn", "cut", "flatten", "head", "bias", "nan"))
        values = tensors[name]
        if way == "drop":
            del tensors[name]
        elif way == "copy":
            other = rng.choice(sorted(tensors))
            tensors[name] = tensors[other].clone()
        elif way == "type":
            tensors[name] = values.to(rng.choice(_TYPES))
        elif way == "turn":
            tensors[name] = values.t().contiguous() if values.ndim == 2 else values.flip(0)
        elif way == "cut":
            tensors[name] = values[: max(1, values.shape[0] // 2)].clone()
        elif way == "flatten":
            tensors[name] = values.reshape(-1)
        elif way == "head":
            tensors["lm_head.weight"] = torch.randn(tensors.get("model.embed_tokens.weight", values).shape)
        elif way == "bias":
            tensors[name.replace("weight", "bias")] = torch.randn(values.shape[0])
        else:
            values.view(-1)[0] = float("nan") if values.is_floating_point() else 0
        return f"{name} {way}"

    return _rewritten(folder, change)


def _of_names(folder: Path, rng: random.Random) -> str:
    old, new = rng.choice(
        (("model.", ""), ("model.", "module.model."), ("model.", "base_model.model.model."),
         ("model.", "language_model.model."), (".layers.0.", ".layers.7."), ("q_proj", "wq"),
         (".weight", ".weights"), ("model.layers", "model.model.layers"), ("lm_head.", "output."),
         ("model.embed_tokens.", "lm_head."))
    )  # fmt: skip

    def change(tensors: dict[str, torch.Tensor]) -> str:
        renamed = {name.replace(old, new, 1): values for name, values in tensors.items()}
        tensors.clear()
        tensors.update(renamed)
        return f"{old!r} is {new!r}"

    return _rewritten(folder, change)


def _of_bytes(folder: Path, rng: random.Random) -> str:
    file = rng.choice(sorted(one for one in folder.iterdir() if one.suffix in (".safetensors", ".json")))
    content = bytearray(file.read_bytes())
    way = rng.choice(("cut", "flip", "more", "empty", "pointer"))
    if way == "cut":
        del content[rng.randrange(len(content) or 1) :]
    elif way == "flip" and content:
        # Of a weight file, a byte of the header; values have no right or wrong.
        size = (
            struct.unpack("<Q", content[:8])[0] if file.suffix == ".safetensors" and len(content) > 8 else 0
        )
        end = min(len(content), 8 + size) if 0 < size < 10**6 else len(content)
        content[rng.randrange(end)] = rng.randrange(256)
    elif way == "more":
        content += bytes(8)
    elif way == "empty":
        content.clear()
    elif way == "pointer":
        content[:] = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 1234\n"
    file.write_bytes(content)
    return f"{file.name} {way}"


def _of_files(folder: Path, rng: random.Random) -> str:
    weights = folder / "model.safetensors"
    if not weights.is_file():
        return "nothing"
    try:
        tensors = load_file(weights)
    except Exception:
        return "nothing"
    names = sorted(tensors)
    half = {name: tensors[name] for name in names[: len(names) // 2]}
    way = rng.choice(
        ("stale index", "shards", "shards and a lost one", "pickle beside", "pickle alone", "renamed")
    )
    if way == "stale index":
        index = {"metadata": {}, "weight_map": dict.fromkeys(names, "model-00001-of-00002.safetensors")}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    elif way.startswith("shards"):
        rest = {name: tensors[name] for name in names[len(names) // 2 :]}
        parts = {"model-00001-of-00002.safetensors": half, "model-00002-of-00002.safetensors": rest}
        where = {name: file for file, part in parts.items() for name in part}
        for file, part in parts.items():
            save_file(part, folder / file, metadata={"format": "pt"})
        (folder / "model.safetensors.index.json").write_text(
            json.dumps({"metadata": {}, "weight_map": where})
        )
        weights.unlink()
        if way != "shards":
            (folder / "model-00002-of-00002.safetensors").unlink()
    elif way.startswith("pickle"):
        torch.save({name: values + 1 for name, values in tensors.items()}, folder / "pytorch_model.bin")
        if way == "pickle alone":
            weights.unlink()
    else:
        weights.rename(folder / rng.choice(("weights.safetensors", "consolidated.safetensors", *_NAMES[3:])))
    return way


def _rewritten(folder: Path, change: Callable[[dict[str, torch.Tensor]], str]) -> str:
    file = folder / "model.safetensors"
    try:
        tensors = load_file(file)
    except Exception:
        return "nothing"
    if not tensors:
        return "nothing"
    what = change(tensors)
    save_file({name: values.clone() for name, values in tensors.items()}, file, metadata={"format": "pt"})
    return what
