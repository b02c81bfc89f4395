"""Between text and token ids, with the artifact's own tokenizer; the runner knows ids only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.artifact import Artifact
from toolkit.chat_template.template import read_json
from toolkit.engines import ENGINES
from toolkit.errors import NotAnArtifact, UsageError
from toolkit.extras import install_command

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_TOKENIZER = "tokenizer.json"
_GENERATION_CONFIG = "generation_config.json"
# Where older artifacts may keep the ids that end a generation, and the keys that lead to them.
_OLDER_PLACE = ("config.json", ("eos_token_id",))


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
            next_step=f"Install it: {install_command('convert')}",
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
    # Some tokenizers take the text of a special token for plain text.
    config = read_json(artifact.path / "tokenizer_config.json")
    tokenizer.encode_special_tokens = config.get("split_special_tokens") is True
    return tokenizer


def stop_token_ids(artifact: Artifact) -> list[int]:
    """Every id that ends a generation; none where the model names none.

    Raises:
        NotAnArtifact: a file that should tell is damaged.
    """
    generation = read_json(artifact.path / _GENERATION_CONFIG)
    if "eos_token_id" in generation:
        return _whole_numbers(generation["eos_token_id"])
    found: set[int] = set()
    of_engine = ENGINES.get(artifact.manifest.backend.name).older_end_tokens
    for name, keys in filter(None, (of_engine, _OLDER_PLACE)):
        value: Any = read_json(artifact.path / name)
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        found.update(_whole_numbers(value))
    return sorted(found)


def _whole_numbers(value: Any) -> list[int]:
    values = value if isinstance(value, list) else [value]
    return sorted({one for one in values if isinstance(one, int) and not isinstance(one, bool)})
