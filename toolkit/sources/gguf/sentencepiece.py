"""A sentencepiece vocabulary ("llama") of a GGUF file as a tokenizer: the tokens are llama.cpp's.

Llama.cpp cuts a text at special tokens and puts a blank in front of each part, unless add_space_prefix says
no (src/llama-vocab.cpp, MIT licence). Transformers puts one in front of the whole text, whatever a file says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from toolkit.sources.gguf.header import GgufHeader

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BLANK = "\u2581"
# Kinds of tokens that are found in a text before it is cut.
_UNKNOWN, _CONTROL, _USER_DEFINED = 2, 3, 4
# Files of these names eat the blanks behind special tokens, but for those three.
_EATING_NAMES = ("phi-3", "phi3")
_NEVER_EATING = ("<unk>", "<s>", "<|endoftext|>")


def sentencepiece_tokenizer(header: GgufHeader, fields: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer.

    Args:
        header: the file's.
        fields: of the vocabulary, by transformers' names.

    Raises:
        ValueError, KeyError: vocabulary, scores and kinds do not fit together.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, normalizers
    from transformers.integrations.gguf import convert_gguf_tokenizer

    scores, count = (
        header.metadata.get("tokenizer.ggml.scores"),
        len(header.metadata["tokenizer.ggml.tokens"]),
    )
    if not isinstance(scores, list) or len(scores) != count or not all(map(math.isfinite, scores)):
        raise ValueError("not every piece has a score")
    # Only the pieces, and how they merge by their scores; nothing of it depends on the architecture.
    made, _ = convert_gguf_tokenizer("llama", {k: v for k, v in fields.items() if k != "merges"})
    tokenizer = Tokenizer(made.model)
    prefix = header.metadata.get("tokenizer.ggml.add_space_prefix", True) is not False
    tokenizer.normalizer = normalizers.Sequence(
        [*([normalizers.Prepend(_BLANK)] if prefix else []), normalizers.Replace(" ", _BLANK)]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(_BLANK, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            *([decoders.Strip(" ", 1, 0)] if prefix else []),
        ]
    )
    tokens: list[str] = header.metadata["tokenizer.ggml.tokens"]
    kinds: list[Any] = header.metadata.get("tokenizer.ggml.token_type") or [1] * len(tokens)
    eats = any(name in str(header.metadata.get("general.name", "")).lower() for name in _EATING_NAMES)
    for special, of_kinds in ((True, (_CONTROL, _UNKNOWN)), (False, (_USER_DEFINED,))):
        added = [
            AddedToken(token, special=special, normalized=False, rstrip=eats and token not in _NEVER_EATING)
            for token, kind in zip(tokens, kinds, strict=False)
            if kind in of_kinds
        ]
        (tokenizer.add_special_tokens if special else tokenizer.add_tokens)(added)
    return tokenizer
