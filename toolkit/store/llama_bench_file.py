"""llama-bench's output as people have it: redirected by any shell, with lines of logs around the JSON.

PowerShell writes UTF-16, editors add byte-order marks, adb and Android's linker print warnings to stdout.
"""

from __future__ import annotations

import json
import re
from typing import Any

from toolkit.errors import ImportInvalid

# A line on which JSON may begin; "[INFO] loading" is none.
_BEGINS = re.compile(r'^[ \t]*(?=\[\s*[{\]]|\{\s*["}])', re.MULTILINE)

_BINARY = {
    b"PAR1": "Parquet",
    b"SQLite format 3\0": "a SQLite database",
    b"\x1f\x8b": "compressed with gzip",
    b"PK\x03\x04": "a ZIP archive",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
}


def binary_kind(start: bytes) -> str | None:
    """What a file is that is no text, by how it begins; None where it may be one."""
    return next((kind for magic, kind in _BINARY.items() if start.startswith(magic)), None)


def encoding_of(start: bytes) -> str:
    """The encoding of a text file, by its byte-order mark or by where its zeros are."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if start.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if len(start) >= 2 and start[0] and not start[1]:
        return "utf-16-le"
    if len(start) >= 2 and start[1] and not start[0]:
        return "utf-16-be"
    return "utf-8"


def json_begins(text: str) -> str:
    """A text from its first line on which JSON may begin; nothing where there is none."""
    begins = _BEGINS.search(text)
    return text[begins.end() :] if begins is not None else ""


def rows_in(text: str, subject: str, expected: str) -> list[Any]:
    """The tests of all JSON lists and objects in a text, in their order.

    Raises:
        ImportInvalid: JSON that is cut or damaged, or none at all.
        json.JSONDecodeError: the same, where the text begins with it.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_each_key_once)
    rows: list[Any] = []
    position, documents = 0, 0
    while (begins := _BEGINS.search(text, position)) is not None:
        try:
            found, position = decoder.raw_decode(text, begins.end())
        except json.JSONDecodeError as error:
            line = text.count("\n", 0, error.pos) + 1
            raise ImportInvalid(
                f"is not JSON: {error.msg} in line {line}; is it cut?", subject=subject, next_step=expected
            ) from None
        except ValueError as error:
            # A key that stands twice, or a number of more digits than Python reads.
            raise ImportInvalid(
                f"is not JSON that is read: {error}", subject=subject, next_step=expected
            ) from None
        documents += 1
        rows += found if isinstance(found, list) else [found]
    if not documents and text.strip():
        raise ImportInvalid("is not JSON: no list of tests in it", subject=subject, next_step=expected)
    return rows


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of two values for one key nobody knows which was measured."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} stands twice in one test")
        found[name] = value
    return found
