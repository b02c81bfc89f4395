"""The keys of a GGUF vocabulary are of the types that llama.cpp reads: checked before any of them is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from toolkit.errors import SourceCorrupt
from toolkit.sources.gguf.header import GgufHeader

_PREFIX = "tokenizer.ggml."
_TOKENS = f"{_PREFIX}tokens"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_fraction(value: Any) -> bool:
    return isinstance(value, float)


def _is_token_id(value: Any) -> bool:
    return _is_whole(value) and value >= 0


def _list_of(is_item: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(is_item, value))


# Key -> what its value is, and how that is called.
_TYPES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    f"{_PREFIX}model": (_is_text, "a text"),
    f"{_PREFIX}pre": (_is_text, "a text"),
    _TOKENS: (_list_of(_is_text), "a list of texts"),
    f"{_PREFIX}merges": (_list_of(_is_text), "a list of texts"),
    f"{_PREFIX}scores": (_list_of(_is_fraction), "a list of floating-point numbers"),
    f"{_PREFIX}token_type": (_list_of(_is_whole), "a list of whole numbers"),
    f"{_PREFIX}add_bos_token": (_is_flag, "yes or no"),
    f"{_PREFIX}add_eos_token": (_is_flag, "yes or no"),
    f"{_PREFIX}add_space_prefix": (_is_flag, "yes or no"),
    "tokenizer.chat_template": (_is_text, "a text"),
}
# One for each token; llama.cpp reads as many as there are tokens.
_BY_TOKEN = (f"{_PREFIX}scores", f"{_PREFIX}token_type")
_TOKEN_ID = (_is_token_id, "the number of a token")


def check_vocabulary_keys(header: GgufHeader) -> None:
    """Refuse keys of another type, and lists that do not fit together.

    Raises:
        SourceCorrupt: names the first.
    """
    metadata = header.metadata
    for key, value in metadata.items():
        is_token_id = key.startswith(_PREFIX) and key.endswith("_token_id")
        is_right, called = _TOKEN_ID if is_token_id else _TYPES.get(key, (None, ""))
        if is_right is not None and not is_right(value):
            raise _corrupt(header, f"{key} is {_shown(value)}, not {called}")
    tokens = metadata.get(_TOKENS)
    # Two empty ones are no token at all, and get names by their numbers.
    for token, count in Counter(filter(None, tokens or ())).most_common(1):
        if count > 1:
            raise SourceCorrupt(
                f"its vocabulary has {token!r} {count} times, which llama.cpp refuses",
                subject=str(header.path),
                next_step="Use the model's safetensors folder.",
            )
    _check_embedding(header, tokens)
    for key in _BY_TOKEN:
        values = metadata.get(key)
        if values and tokens is not None and len(values) != len(tokens):
            raise _corrupt(header, f"{key} has {len(values)} values for {len(tokens)} tokens")


def _check_embedding(header: GgufHeader, tokens: Sequence[str] | None) -> None:
    """An embedding has a row for each token: llama.cpp takes no other (``check_tensor_dims``)."""
    embedding = header.tensors.get("token_embd.weight")
    if tokens is None or embedding is None or embedding.shape[0] == len(tokens):
        return
    raise SourceCorrupt(
        f"its vocabulary has {len(tokens)} tokens, its embedding (token_embd.weight) "
        f"{embedding.shape[0]} rows, which llama.cpp refuses",
        subject=str(header.path),
        next_step="Use the model's safetensors folder, or write the file anew with llama.cpp's converter, "
        "which names tokens for all rows.",
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _corrupt(header: GgufHeader, what: str) -> SourceCorrupt:
    return SourceCorrupt(f"metadata {what}", subject=str(header.path), next_step="Get the file again.")
