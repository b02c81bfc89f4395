"""The text files beside a model's weights: known to be whole before anything is made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import SourceCorrupt
from toolkit.sources.stand_ins import refuse_pointer

# Everything that transformers reads a tokenizer from, as repositories keep it, and what belongs to it.
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tiktoken.model",
    "tekken.json",
    "chat_template.jinja",
    "chat_template.json",
    "processor_config.json",
    "generation_config.json",
)
# Those that hold a vocabulary.
VOCABULARIES = (
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tiktoken.model",
    "tekken.json",
)
_AGAIN = "Download the file again."


@dataclass(frozen=True)
class SideFiles:
    """The side files of one folder.

    Attributes:
        folder: where they are.
        names: those that are there, in the order of TOKENIZER_FILES.
        objects: content of the JSON files, by name.
    """

    folder: Path
    names: tuple[str, ...]
    objects: Mapping[str, Mapping[str, Any]]

    @property
    def vocabularies(self) -> tuple[str, ...]:
        """The files that a tokenizer can be made from."""
        return tuple(name for name in self.names if name in VOCABULARIES)

    def object(self, name: str) -> Mapping[str, Any]:
        """A JSON file's content; empty where there is no such file."""
        return self.objects.get(name, {})


def read_side_files(folder: Path) -> SideFiles:
    """Read them all.

    Raises:
        SourceCorrupt: a file is empty, cut, unreadable, a pointer to a large file, or not what its name says.
    """
    names = tuple(name for name in TOKENIZER_FILES if (folder / name).is_file())
    objects = {}
    for name in names:
        # transformers takes a blank template for none, or for one that writes nothing.
        content = _read(folder / name, blank=name.endswith(".jinja"))
        if name.endswith(".json"):
            objects[name] = _object(folder / name, content)
        elif name.endswith((".jinja", ".txt")):
            _text(folder / name, content)
    return SideFiles(folder, names, objects)


def _read(path: Path, *, blank: bool = False) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceCorrupt(
            f"cannot be read: {error.strerror}", subject=str(path), next_step="Check who may read the file."
        ) from None
    refuse_pointer(path, content)
    if not blank and not content.strip():
        raise SourceCorrupt("is empty", subject=str(path), next_step=_AGAIN)
    return content


def _text(path: Path, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise SourceCorrupt(f"is not UTF-8: {error}", subject=str(path), next_step=_AGAIN) from None


def _object(path: Path, content: bytes) -> Mapping[str, Any]:
    text = _text(path, content)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceCorrupt(f"is not JSON: {error}", subject=str(path), next_step=_AGAIN) from None
    if not isinstance(data, dict):
        raise SourceCorrupt("is not a JSON object", subject=str(path), next_step=_AGAIN)
    if "\\ud" in text.lower() and _half_character(data):
        raise SourceCorrupt("holds half a character", subject=str(path), next_step=_AGAIN)
    return data


def _half_character(data: object) -> bool:
    r"""Whether an escape such as ``\ud800`` stands alone, which is no text in any encoding."""
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
