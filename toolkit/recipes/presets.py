"""Named presets: defaults for a whole `convert` or `profile` section; fields given in the recipe win."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONVERT_PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Small enough for a phone: 4 bits for speed, 8 bits for quality.
    "phone": {"quant": ["mobile-4bit", "mobile-8bit"]},
    # Every way to store weights, from none to 4 bits with integer activations.
    "schemes": {"quant": ["fp32", "fp16", "8w", "8da8w", "4w", "8da4w"]},
    # What group size and algorithm cost and bring, at 4 bits.
    "four-bit-sweep": {"quant": ["8da4w"], "group_size": [16, 32, 64, 128, 256], "algorithm": ["rtn", "hqq"]},
}

PROFILE_PRESETS: Mapping[str, Mapping[str, Any]] = {
    # docs/protocol.md: what llama-bench and most phone benchmarks report.
    "standard": {"prompt_tokens": [512], "generate_tokens": [128], "repetitions": 5, "warmup": 1},
    # To see whether everything works; too short for figures.
    "smoke": {"prompt_tokens": [16], "generate_tokens": [8], "repetitions": 1, "warmup": 0},
    # The survey of small language models (arXiv 2409.15790): prompt 50, generation 50.
    "survey": {"prompt_tokens": [50], "generate_tokens": [50], "repetitions": 5, "warmup": 1},
    # How the rates fall while the KV cache fills up.
    "long-context": {
        "prompt_tokens": [512],
        "generate_tokens": [64],
        "depth": [0, 512, 1024, 2048],
        "repetitions": 3,
        "warmup": 1,
    },
}
