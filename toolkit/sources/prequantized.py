"""Checkpoints whose stored numbers are not the weights: refused, and the scheme named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from toolkit.errors import SourceCorrupt, SourceError

# Numbers that are the weights themselves, as safetensors names them.
_FLOATS = ("F64", "F32", "F16", "BF16")
_SCHEMES = {
    "F8_E4M3": "FP8",
    "F8_E5M2": "FP8",
    "F8_E4M3FNUZ": "FP8",
    "F8_E5M2FNUZ": "FP8",
    "F8_E8M0": "MX block formats",
    "F4": "FP4",
    "I8": "INT8",
    "U8": "packed 8-bit or 4-bit integers, as bitsandbytes and MXFP4 do",
    "I32": "packed integers, as GPTQ and AWQ do",
    "U32": "packed integers, as MLX does",
}
# Blocks of a config that describe quantized weights, at any depth.
_CONFIG_KEYS = ("quantization_config", "compression_config", "quantization")
# Files beside config.json that say the same: NVIDIA ModelOpt, AutoGPTQ, AutoAWQ.
QUANTIZATION_FILES = ("hf_quant_config.json", "quantize_config.json", "quant_config.json")
# Endings of tensors beside stored integers: compressed-tensors, ModelOpt, GPTQ, AWQ, MLX, bitsandbytes.
_COMPANIONS = (
    "weight_scale",
    "weight_scale_2",
    "weight_scale_inv",
    "weight_zero_point",
    "weight_packed",
    "weight_shape",
    "weight_g_idx",
    "input_scale",
    "qweight",
    "qzeros",
    "g_idx",
    "scales",
    "biases",
    "SCB",
    "absmax",
    "quant_map",
    "weight_format",
)
_NEXT = "Give the original model in float32, float16 or bfloat16; of quantized ones only GGUF files are read."


def refuse_quantized_config(fields: Mapping[str, Any], origin: Path) -> None:
    """Refuse a config, or files beside it, that say that the weights are quantized.

    Raises:
        SourceError: names the scheme and where it is said.
    """
    for key in _CONFIG_KEYS[:2]:
        if fields.get(key) and not isinstance(fields[key], dict):
            raise SourceCorrupt(
                f"{key} in config.json is {fields[key]!r}, no block that says how weights are quantized",
                subject=str(origin),
                next_step=f"{_NEXT} If its tensors are plain floats, remove {key} from config.json.",
            )
    for path, block in _blocks(fields, ""):
        refusal = _refusal(f"{_method(block)}; {path} in config.json", str(origin))
        # What merges an adapter into a model that was loaded in 4 bits often leaves the block behind.
        refusal.next_step = f"{_NEXT} If its tensors are plain floats again, remove {path} from config.json."
        raise refusal
    for name in QUANTIZATION_FILES:
        file = origin / name
        if file.is_file():
            raise _refusal(f"{_method(_read(file))}; {name}", str(origin))


def refuse_quantized_tensors(dtypes: Mapping[str, str], unread: Iterable[str], *, subject: str) -> None:
    """Refuse parameters that are stored as anything but floats, and scales that nobody would apply.

    Args:
        dtypes: storage type of every tensor that is read, as safetensors names it.
        unread: names of the tensors that are not.
        subject: folder or file, for messages.

    Raises:
        SourceError: names the scheme.
    """
    for name, dtype in dtypes.items():
        if dtype not in _FLOATS:
            scheme = _SCHEMES.get(dtype, f"type {dtype}")
            raise _refusal(f"{scheme}; {name} is stored as {dtype}", subject)
    scales = [name for name in unread if name.rpartition(".")[2] in _COMPANIONS]
    if scales:
        raise _refusal(f"{len(scales)} tensors of scales or packed integers, such as {scales[0]}", subject)


def refuse_other_forms(missing: Iterable[str], unread: Iterable[str], *, subject: str) -> None:
    """Refuse parameters in whose place other tensors are stored: packed numbers, or factors of a training.

    Args:
        missing: parameters that no tensor was found for.
        unread: names of the tensors that are not read.
        subject: folder or file, for messages.

    Raises:
        SourceError: names a parameter and what stands in its place.
    """
    names = list(unread)
    for parameter in missing:
        stem = parameter.removesuffix(".weight")
        # Of q_proj.weight: q_proj.W_q (hqq), q_proj.weight_v (weight norm), q_proj_blocks (MXFP4).
        inside = re.compile(
            rf"(?:^|\.){re.escape(stem.split('.', 1)[-1])}(?:\.(?!bias$)|_(?:blocks|scales)$)"
        )
        found = [name for name in names if inside.search(name)]
        if found:
            more = ", ..." if len(found) > 2 else ""
            raise SourceError(
                f"{parameter} is stored in another form ({', '.join(found[:2])}{more}), as quantization and "
                "weight norms do",
                subject=subject,
                next_step=_NEXT,
            )


def _refusal(how: str, subject: str) -> SourceError:
    return SourceError(f"weights are already quantized ({how})", subject=subject, next_step=_NEXT)


def _blocks(fields: Mapping[str, Any], path: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for key, value in fields.items():
        if isinstance(value, dict):
            if key in _CONFIG_KEYS and value:
                yield f"{path}{key}", value
            else:
                yield from _blocks(value, f"{path}{key}.")


def _method(block: Mapping[str, Any]) -> str:
    inner = block.get("quantization")
    names = {**block, **(inner if isinstance(inner, dict) else {})}
    for key in ("quant_method", "quant_algo", "format"):
        if isinstance(names.get(key), str):
            return str(names[key])
    bits = names.get("bits", names.get("w_bit"))
    return f"{bits}-bit" if isinstance(bits, int) else "unknown method"


def _read(file: Path) -> Mapping[str, Any]:
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}
