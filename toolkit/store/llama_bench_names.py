"""What llama.cpp's names say of quantization, model and chip, in all its years."""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath

# llama.cpp's types of files, e.g. Q4_0, Q4_K, IQ2_XXS, TQ1_0, MXFP4, BF16; a word never begins in a word.
_TYPE = (
    r"(?:I?Q[0-9]+_[A-Z0-9]+(?:_[A-Z0-9]+)*|TQ[0-9]_[0-9]|(?:MX|NV)FP4(?:_MOE)?|BF16|FP?(?:16|32|64)|Q8_0)"
)
# In "qwen3moe 30B.A3B Q4_K - Medium", "LLaMA 7B mostly Q4_0", "gemma3 ?B all F32", "x 1B Q4_0 (guessed)".
_IN_MODEL_TYPE = re.compile(rf"(?:^|\s)(?:mostly |all )?({_TYPE}(?:\s.*)?)$")
_GUESSED = re.compile(r"\s*\(guessed\)$")
# In "tinyllama-1.1b.Q4_0.gguf", "Qwen3-0.6B-UD-Q4_K_XL.gguf", "model-f16.gguf".
_IN_FILE = re.compile(rf"[-_.](?:(?:UD|imat|imatrix|i1)[-_.])?({_TYPE})$", re.IGNORECASE)
_SHARD = re.compile(r"-[0-9]{5}-of-[0-9]{5}$")

# What llama.cpp's back ends and ARM kernels say where they know no name; all phones of a maker say the same.
_NO_CHIP = re.compile(
    r"cpu|blas|unknown|(?:arm|aarch)[v0-9]*(?: processor.*)?|(?:arm |qualcomm )?(?:adreno|mali)(?:\(tm\))?"
    r"|qualcomm|mediatek|samsung|hisilicon|huawei|google|unisoc|spreadtrum|rockchip|amlogic|allwinner|nvidia"
    r"|intel|amd|apple|broadcom|xiaomi",
    re.IGNORECASE,
)
# "Qualcomm Technologies, Inc" is what the kernels of many phones say before the chip's name, or alone.
_COMPANY = re.compile(
    r"\b(?:technolog(?:y|ies)|semiconductors?|electronics|corp(?:oration)?|company|co|incorporated|inc|ltd"
    r"|limited|llc)\b\.?",
    re.IGNORECASE,
)


def names_a_chip(text: str) -> bool:
    """Whether llama-bench's `cpu_info` or `gpu_info`, of one or several, says which chip it is."""
    parts = (" ".join(_COMPANY.sub("", part).split()) for part in text.split(","))
    return any(part and not _NO_CHIP.fullmatch(part) for part in parts)


def file_name(path: str) -> str:
    """The last part of a path of either kind of system."""
    return PureWindowsPath(PurePosixPath(path).name).name


def architecture_of(model_type: str) -> str:
    """The first word, e.g. llama; builds of 2023 wrote LLaMA."""
    words = model_type.split()
    return words[0].lower() if words else "unknown"


def quantization_of(model_type: str, path: str) -> str:
    """The quantization as llama.cpp spells it today; from the file's name where the type does not say it."""
    found = _IN_MODEL_TYPE.search(model_type.strip())
    if found is not None:
        return _GUESSED.sub("", found[1])
    named = _IN_FILE.search(_stem(path))
    return named[1].upper() if named is not None else "unknown"


def model_of(path: str) -> str:
    """The model's name without its quantization: files that differ in that alone are of one model."""
    stem = _stem(path)
    return _IN_FILE.sub("", stem) or stem


def _stem(path: str) -> str:
    return _SHARD.sub("", re.sub(r"\.gguf$", "", file_name(path), flags=re.IGNORECASE))
