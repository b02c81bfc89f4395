"""Between text and token ids, with the artifact's own tokenizer; the runner knows ids only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from toolkit.artifact import Artifact
from toolkit.errors import NotAnArtifact, UsageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_TOKENIZER = "tokenizer.json"
# Where the ids that end a generation are written, and the keys that lead to them.
_EOS_PLACES = (
    ("genai_config.json", ("model", "eos_token_id")),
    ("generation_config.json", ("eos_token_id",)),
    ("config.json", ("eos_token_id",)),
)


def load_tokenizer(artifact: Artifact) -> Tokenizer:
    """The artifact's tokenizer.

    Raises:
        UsageError: the package ``tokenizers`` is not installed.
        NotAnArtifact: the artifact has no usable tokenizer.json.
    """
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError:
        raise UsageError(
            "generating text needs the package `tokenizers`",
            next_step="Install it: pip install 'slm-toolkit[convert]'",
        ) from None
    path = artifact.path / _TOKENIZER
    if not path.is_file():
        raise NotAnArtifact(
            "has no tokenizer.json", subject=str(artifact.path), next_step="Convert the model again."
        )
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
        raise NotAnArtifact(
            f"tokenizer.json cannot be read: {error}",
            subject=str(artifact.path),
            next_step="Convert the model again.",
        ) from None
    # Left over from a training; a prompt is neither cut nor filled up.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def stop_token_ids(artifact: Artifact) -> list[int]:
    """Every id that ends a generation, from all the places where models write them."""
    found: set[int] = set()
    for name, keys in _EOS_PLACES:
        path = artifact.path / name
        if not path.is_file():
            continue
        value: Any = json.loads(path.read_text())
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        found.update(id for id in (value if isinstance(value, list) else [value]) if isinstance(id, int))
    return sorted(found)
