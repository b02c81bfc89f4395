"""Do the tokens that a source names exist in the model? Asked of what every kind of source wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from toolkit.errors import SourceError
from toolkit.progress import say
from toolkit.sources.generation import GENERATION_CONFIG

_TOKENIZER = "tokenizer.json"
# A private and an unassigned character, in no vocabulary, and some that few have.
_RARE = "\U0010fffd \u0378 \0 日本 é"


def check_tokens(folder: Path, vocabulary_size: int, *, subject: str) -> None:
    """Refuse tokens without an embedding where every text would meet them; say where some texts would.

    Args:
        folder: holds generation_config.json, and tokenizer.json if there is one.
        vocabulary_size: rows of the embedding.
        subject: the model, for errors.

    Raises:
        SourceError: the first, an end or a pad token, or one that the tokenizer adds to every text, has no
            embedding; or the tokenizer fails on characters that it does not know.
    """
    fields = json.loads((folder / GENERATION_CONFIG).read_text(encoding="utf-8"))
    for role in ("bos", "eos", "pad"):
        value = fields.get(f"{role}_token_id")
        for token_id in value if isinstance(value, list) else [value]:
            if token_id is not None and token_id >= vocabulary_size:
                raise _beyond(f"{role}_token_id {token_id}", vocabulary_size, subject)
    if fields.get("eos_token_id") is None:
        say(f"{subject} names no end token: generation ends at --max-tokens only")
    if (folder / _TOKENIZER).is_file():
        _check_vocabulary(folder / _TOKENIZER, vocabulary_size, subject)


def check_embedded(token_ids: Iterable[int], vocabulary_size: int, *, subject: str) -> None:
    """Refuse a tokenizer that gives an ordinary text tokens without an embedding.

    Args:
        token_ids: of such a text.
        vocabulary_size: rows of the embedding.
        subject: the model, for errors.

    Raises:
        SourceError: one has none.
    """
    for token_id in token_ids:
        if token_id >= vocabulary_size:
            raise _beyond(f"the token {token_id} of an ordinary English text", vocabulary_size, subject)


def _check_vocabulary(path: Path, vocabulary_size: int, subject: str) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    try:
        tokenizer.encode(_RARE)
    except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
        raise SourceError(
            f"its tokenizer fails on characters that it does not know: {error}",
            subject=subject,
            next_step="Take the tokenizer files of the original model; a token for the unknown is missing.",
        ) from None
    added = [token_id for token_id in tokenizer.encode("").ids if token_id >= vocabulary_size]
    if added:
        what = f"the token {tokenizer.id_to_token(added[0])!r} ({added[0]}), which begins or ends every text,"
        raise _beyond(what, vocabulary_size, subject)
    beyond: list[Any] = sorted(
        (token_id, token) for token, token_id in tokenizer.get_vocab().items() if token_id >= vocabulary_size
    )
    if beyond:
        named = ", ".join(f"{token!r} ({token_id})" for token_id, token in beyond[:3])
        more = f" and {len(beyond) - 3} more" if len(beyond) > 3 else ""
        say(f"{subject} has no embedding for {named}{more}: prompts with them are refused")


def _beyond(what: str, vocabulary_size: int, subject: str) -> SourceError:
    return SourceError(
        f"{what} is beyond the model's {vocabulary_size} tokens",
        subject=subject,
        next_step="Take the config and tokenizer files that belong to these weights.",
    )
