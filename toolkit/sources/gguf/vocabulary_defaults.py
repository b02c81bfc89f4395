"""What llama.cpp takes a vocabulary to say where its keys say nothing, or something else than its texts.

Reference: llama.cpp, ``llama_vocab::impl::load``.
"""

from __future__ import annotations

import dataclasses

from toolkit.sources.gguf.end_tokens import end_texts
from toolkit.sources.gguf.header import GgufHeader

_PREFIX = "tokenizer.ggml."
_CONTROL = 3
# Of a sentencepiece vocabulary.
_SPECIAL = {"bos": 1, "eos": 2}
# Of filling in the middle: whatever a file says of their type, as tokens that end a text.
_FILLING_TEXTS = (
    (
        "<|fim_prefix|>",
        "<fim-prefix>",
        "<fim_prefix>",
        "<｜fim▁begin｜>",
        "<PRE>",
        "▁<PRE>",
        "<|code_prefix|>",
    ),
    (
        "<|fim_suffix|>",
        "<fim-suffix>",
        "<fim_suffix>",
        "<｜fim▁hole｜>",
        "<SUF>",
        "▁<SUF>",
        "<|code_suffix|>",
    ),
    ("<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>"),
)


def with_defaults(header: GgufHeader) -> GgufHeader:
    """The header with the special tokens and the kinds of tokens that llama.cpp takes."""
    metadata = dict(header.metadata)
    tokens: list[str] = metadata.get(f"{_PREFIX}tokens", [])
    if not tokens:
        return header
    if metadata.get(f"{_PREFIX}model") == "llama":
        for role, default in _SPECIAL.items():
            metadata.setdefault(f"{_PREFIX}{role}_token_id", default)
    control = end_texts().union(*_FILLING_TEXTS)
    kinds = metadata.get(f"{_PREFIX}token_type") or [1] * len(tokens)
    metadata[f"{_PREFIX}token_type"] = [
        _CONTROL if token in control else kind for token, kind in zip(tokens, kinds, strict=True)
    ]
    return dataclasses.replace(header, metadata=metadata)
