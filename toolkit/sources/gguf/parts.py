"""GGUF files that llama.cpp split: the first part says what the model is, all hold tensors."""

from __future__ import annotations

import re
from pathlib import Path

from toolkit.errors import MissingWeights, SourceCorrupt
from toolkit.sources.gguf.header import GgufHeader, TensorEntry, read_header
from toolkit.sources.gguf.recognition import without_ending

# llama.cpp's names of parts (llama_split_path): MODEL-00001-of-00003.gguf.
_PART = re.compile(r"(?P<model>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<ending>\.gguf)", re.IGNORECASE)


def parts_of(path: Path) -> list[Path]:
    """All parts of a model, in order, by the name of any of them; the file itself where it is whole."""
    match = _PART.fullmatch(path.name)
    if match is None:
        return [path]
    count = int(match["count"])
    names = (f"{match['model']}-{number:05}-of-{count:05}{match['ending']}" for number in range(1, count + 1))
    return [path.with_name(name) for name in names]


def model_name(path: Path) -> str:
    """The name of a file without its ending and the number of its part."""
    match = _PART.fullmatch(path.name)
    return without_ending(path.name) if match is None else match["model"]


def read_headers(path: Path) -> GgufHeader:
    """Header of a file, or the headers of all its parts as one.

    Raises:
        MissingWeights: parts are missing; the first few are named.
        SourceCorrupt: parts of different models, or in another order than their names say.
        SourceNotFound, SourceError: see :func:`read_header`.
    """
    parts = parts_of(path)
    missing = [part.name for part in parts if not part.is_file()]
    if missing and len(parts) > 1:
        raise MissingWeights(
            f"{len(missing)} of {len(parts)} parts are missing: {', '.join(missing[:4])}",
            subject=str(path),
            next_step="Get all parts into one folder.",
        )
    headers = [read_header(part) for part in parts]
    first = headers[0]
    count = first.metadata.get("split.count", 1) or 1
    if count != len(parts):
        raise MissingWeights(
            f"is one of {count} parts of a split file, whose name does not say so",
            subject=str(path),
            next_step=f"Name the parts as llama.cpp does (MODEL-00001-of-{count:05}.gguf), or merge them: "
            "llama-gguf-split --merge FIRST_PART OUTPUT",
        )
    tensors: dict[str, TensorEntry] = {}
    for number, header in enumerate(headers):
        if len(headers) > 1 and (header.metadata.get("split.no"), header.metadata.get("split.count")) != (
            number,
            count,
        ):
            raise _corrupt(header.path, f"is not part {number + 1} of {count} as its name says")
        if twice := tensors.keys() & header.tensors.keys():
            raise _corrupt(header.path, f"tensor {min(twice)} is in another part, too")
        tensors |= header.tensors
    total = first.metadata.get("split.tensors.count", len(tensors))
    if len(headers) > 1 and total != len(tensors):
        raise _corrupt(first.path, f"the parts hold {len(tensors)} tensors, the first one says {total}")
    return GgufHeader(first.path, first.metadata, tensors)


def _corrupt(path: Path, what: str) -> SourceCorrupt:
    return SourceCorrupt(what, subject=str(path), next_step="Get all parts of one model again.")
