"""How a GGUF file asks llama.cpp to choose tokens (``general.sampling.*``), in this toolkit's options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolkit.sources.sampling import sampling_options

_PREFIX = "general.sampling."
# llama.cpp's names -> transformers'.
_NAMES = {"temp": "temperature", "top_k": "top_k", "top_p": "top_p"}


def sampling_in_words(metadata: Mapping[str, Any]) -> str | None:
    """What llama.cpp would do otherwise than the artifact's decoding; None where the file does not ask.

    Args:
        metadata: the file's keys.
    """
    asked = {key.removeprefix(_PREFIX): value for key, value in metadata.items() if key.startswith(_PREFIX)}
    options, beyond = sampling_options({name: asked.get(key) for key, name in _NAMES.items()})
    others = [
        f"{key} {_shown(value)}" for key, value in asked.items() if key not in _NAMES or _NAMES[key] in beyond
    ]
    said = []
    if options:
        said.append(f"samples, which slm generate and slm chat do with {options}")
    if others:
        said.append(f"asks for {', '.join(others)}, which is not applied: texts differ from llama.cpp's")
    return "; ".join(said) or None


def _shown(value: Any) -> str:
    # 0.7 is 0.699999988079071 in the file's 32 bits.
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:40]
