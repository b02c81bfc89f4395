"""generation_config.json: which tokens start and end a text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.errors import SourceCorrupt

GENERATION_CONFIG = "generation_config.json"
_CORRECT = "Correct the file, or take the one of the original model."
# The id of a token's text, or None.
TokenId = Callable[[str], int | None]


@dataclass(frozen=True)
class GenerationTokens:
    """Token ids that begin, end and fill texts.

    Attributes:
        bos: begins a text, or None.
        ends: each of them ends a text; empty where nothing does.
        pad: fills up shorter texts of a batch, or None.
        other: what else the source's generation_config.json holds.
    """

    bos: int | None
    ends: tuple[int, ...]
    pad: int | None
    other: Mapping[str, Any] = field(default_factory=dict)


def generation_fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a config.json says of generation, by transformers' rule (``GenerationConfig.from_model_config``).

    The values that a model's class has where the file says nothing do not count.

    Args:
        config: the JSON object.
    """
    parts = (config.get(name) for name in ("decoder", "generator", "text_config"))
    inner = next((part for part in parts if isinstance(part, dict) and part), {})
    return inner | {key: value for key, value in config.items() if value is not None}


def read_tokens(fields: Mapping[str, Any], token_id: TokenId, *, subject: str) -> GenerationTokens:
    """The tokens of a generation config or of a model's config.

    Args:
        fields: the JSON object.
        token_id: finds the id of a token that is given as text.
        subject: the file, for errors.

    Raises:
        SourceCorrupt: something else than ids or texts of tokens.
    """
    keys = ("bos_token_id", "eos_token_id", "pad_token_id")
    bos, ends, pad = (_ids(fields.get(key), key, token_id, subject) for key in keys)
    for key, ids in (("bos_token_id", bos), ("pad_token_id", pad)):
        if len(ids) > 1:
            raise SourceCorrupt(f"{key} holds {len(ids)} ids", subject=subject, next_step=_CORRECT)
    for key, ids in (("bos_token_id", bos), ("eos_token_id", ends)):
        if any(one < 0 for one in ids):
            raise SourceCorrupt(f"{key} is {min(ids)}", subject=subject, next_step=_CORRECT)
    # Old checkpoints write -1 for none.
    pad = [one for one in pad if one >= 0]
    other = {key: value for key, value in fields.items() if key not in keys}
    for key, value in other.items():
        try:
            json.dumps(value, allow_nan=False)
        except ValueError:
            # Python writes and reads NaN and Infinity; JSON has neither, and others' readers refuse the file.
            raise SourceCorrupt(
                f"{key} is {json.dumps(value)[:80]}, which is no number in JSON",
                subject=subject,
                next_step=f"Write a number or leave {key} out. {_CORRECT}",
            ) from None
    return GenerationTokens(
        bos[0] if bos else None, tuple(dict.fromkeys(ends)), pad[0] if pad else None, other
    )


def write_generation_config(folder: Path, tokens: GenerationTokens) -> str:
    """Write the file and return its name. It alone decides: no end token is written as null, not left out."""
    ends = list(tokens.ends)
    fields: dict[str, Any] = dict(tokens.other) | {
        "bos_token_id": tokens.bos,
        "eos_token_id": ends[0] if len(ends) == 1 else ends or None,
        "pad_token_id": tokens.pad,
    }
    if tokens.bos is None:
        del fields["bos_token_id"]
    if tokens.pad is None:
        del fields["pad_token_id"]
    (folder / GENERATION_CONFIG).write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
    return GENERATION_CONFIG


def _ids(value: Any, key: str, token_id: TokenId, subject: str) -> list[int]:
    if value is None:
        return []
    ids = []
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str):
            if one.strip().isdecimal():
                # The token "2" is the digit two, which nobody means.
                raise SourceCorrupt(
                    f"{key} is the text {one!r}, not a token id",
                    subject=subject,
                    next_step=f"Write the number without quotes. {_CORRECT}",
                )
            found = token_id(one)
            if found is None:
                raise SourceCorrupt(
                    f"{key} names {one!r}, which the tokenizer does not know",
                    subject=subject,
                    next_step=_CORRECT,
                )
            ids.append(found)
        elif isinstance(one, int | float) and not isinstance(one, bool) and float(one).is_integer():
            ids.append(int(one))
        else:
            raise SourceCorrupt(
                f"{key} is {json.dumps(value)[:80]}, not a token id", subject=subject, next_step=_CORRECT
            )
    return ids
