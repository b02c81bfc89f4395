"""Parse a GGUF file's header: metadata and the table of tensors.

Written for speed (a vocabulary is 100,000 strings; gguf's own reader needs seconds for it) and for files
that lie: every length and count is checked against the bytes that are left before anything is allocated.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import SourceCorrupt, SourceError, SourceNotFound
from toolkit.sources.gguf.recognition import MAGIC
from toolkit.sources.stand_ins import refuse_broken_link, refuse_pointer

_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
# GGUF value type -> struct format of one scalar.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_DEFAULT_ALIGNMENT = 32
# Far above any real file (the largest vocabularies have 300,000 tokens), far below what hurts.
_MAX_ARRAY_LENGTH = 1 << 24
_MAX_DIMENSIONS = 4
# ggml's numbers of types that llama.cpp no longer reads -> their names (ggml.h).
_REMOVED_TYPES = {
    4: "Q4_2",
    5: "Q4_3",
    31: "Q4_0_4_4",
    32: "Q4_0_4_8",
    33: "Q4_0_8_8",
    36: "IQ4_NL_4_4",
    37: "IQ4_NL_4_8",
    38: "IQ4_NL_8_8",
}


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of the file.

    Attributes:
        path: the file that it lies in.
        shape: in torch's order, rows first.
        type_name: ggml type: "F32", "Q4_1", "Q6_K" ...
        offset_bytes: from the start of the file.
        size_bytes: bytes in the file.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    type_name: str
    offset_bytes: int
    size_bytes: int


@dataclass(frozen=True)
class GgufHeader:
    """Metadata and tensor table of one file, or of all parts of a split one.

    Attributes:
        path: the file, or the first part.
        metadata: values by key; arrays are lists.
        tensors: by GGUF name.
    """

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, TensorEntry]

    @property
    def architecture(self) -> str:
        """llama.cpp's name of the architecture, e.g. "llama", "gemma3"."""
        return str(self.metadata["general.architecture"])


def read_header(path: Path) -> GgufHeader:
    """Read and check a file's header.

    Raises:
        SourceNotFound: no such file.
        SourceCorrupt: not a GGUF file, cut short, with impossible counts or offsets.
        SourceError: a version, byte order or type of a tensor that is not supported.
    """
    if path.is_dir():
        raise SourceError(
            "is a folder",
            subject=str(path),
            next_step="Give the .gguf file in it, or a folder of another name.",
        )
    refuse_broken_link(path)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return _HeaderParser(path, view).parse()
    except FileNotFoundError:
        raise SourceNotFound("no such file", subject=str(path), next_step="Check the path.") from None
    except OSError as error:
        raise SourceError(
            f"cannot be read: {error.strerror}", subject=str(path), next_step="Check who may read the file."
        ) from error
    except ValueError:  # mmap refuses an empty file
        raise _corrupt(path, "the file is empty") from None


def _corrupt(path: Path, what: str) -> SourceCorrupt:
    return SourceCorrupt(f"not a valid GGUF file: {what}", subject=str(path), next_step="Get the file again.")


class _HeaderParser:
    def __init__(self, path: Path, view: mmap.mmap) -> None:
        self._path = path
        self._view = view
        self._position = 0

    def parse(self) -> GgufHeader:
        refuse_pointer(self._path, self._view[:64])
        if self._view[: len(MAGIC)] != MAGIC:
            raise _corrupt(self._path, "it does not start with the GGUF magic")
        self._position = len(MAGIC)
        version, tensor_count, metadata_count = self._unpack("IQQ")
        if version & 0xFFFF == 0:
            raise SourceError(
                "big-endian GGUF files are not supported",
                subject=str(self._path),
                next_step="Get a little-endian file, or swap this one: gguf-convert-endian FILE little",
            )
        if version not in _VERSIONS:
            raise SourceError(
                f"GGUF version {version} is not supported",
                subject=str(self._path),
                next_step="Get a file of version 2 or 3, which llama.cpp has written since August 2023.",
            )
        # A key-value pair takes 13 bytes at least, a tensor entry 24.
        self._claim(metadata_count, 13, "metadata entries")
        metadata = self._read_metadata(metadata_count)
        self._claim(tensor_count, 24, "tensors")
        tensors = self._read_tensors(tensor_count, metadata)
        return GgufHeader(self._path, metadata, tensors)

    def _claim(self, count: int, item_bytes: int, what: str) -> None:
        if count * item_bytes > len(self._view) - self._position:
            raise _corrupt(self._path, f"it claims {count} {what}, more than the file can hold")

    def _unpack(self, layout: str) -> tuple[Any, ...]:
        layout = "<" + layout
        end = self._position + struct.calcsize(layout)
        if end > len(self._view):
            raise _corrupt(self._path, "the header is cut short")
        values = struct.unpack_from(layout, self._view, self._position)
        self._position = end
        return values

    def _string(self) -> str:
        (length,) = self._unpack("Q")
        self._claim(length, 1, "bytes in a string")
        start, self._position = self._position, self._position + length
        try:
            return self._view[start : self._position].decode()
        except UnicodeDecodeError:
            raise _corrupt(self._path, f"a string at byte {start} is not UTF-8") from None

    def _read_metadata(self, count: int) -> dict[str, Any]:
        metadata: dict[str, Any] = {}
        for _ in range(count):
            key = self._string()
            if key in metadata:
                raise _corrupt(self._path, f"metadata key {key!r} occurs twice")
            (value_type,) = self._unpack("I")
            metadata[key] = self._array(key) if value_type == _ARRAY else self._value(key, value_type)
        # Of a split file, only the first part says what the model is.
        if not isinstance(metadata.get("general.architecture"), str) and not metadata.get("split.no"):
            raise _corrupt(self._path, "general.architecture is missing")
        return metadata

    def _value(self, key: str, value_type: int) -> Any:
        if value_type == _STRING:
            return self._string()
        if value_type not in _SCALARS:
            raise _corrupt(self._path, f"metadata {key!r} has the unknown type {value_type}")
        return self._unpack(_SCALARS[value_type])[0]

    def _array(self, key: str) -> list[Any]:
        item_type, length = self._unpack("IQ")
        if length > _MAX_ARRAY_LENGTH:
            raise _corrupt(self._path, f"metadata {key!r} claims {length} items")
        if item_type == _STRING:
            self._claim(length, 8, f"strings in {key!r}")
            return [self._string() for _ in range(length)]
        if item_type not in _SCALARS:
            raise _corrupt(self._path, f"metadata {key!r} is an array of the unknown type {item_type}")
        self._claim(length, struct.calcsize("<" + _SCALARS[item_type]), f"items in {key!r}")
        return list(self._unpack(f"{length}{_SCALARS[item_type]}"))

    def _read_tensors(self, count: int, metadata: dict[str, Any]) -> dict[str, TensorEntry]:
        rows = [self._tensor_row() for _ in range(count)]
        alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
            raise _corrupt(self._path, f"alignment {alignment!r} is not a power of two")
        data_start = -(-self._position // alignment) * alignment
        tensors: dict[str, TensorEntry] = {}
        # Tensors lie one behind the other, each padded; with any other offset llama.cpp reads no file, and
        # one that points elsewhere within it would give another tensor's numbers.
        expected = 0
        for name, shape, type_id, offset in rows:
            if name in tensors:
                raise _corrupt(self._path, f"tensor {name!r} occurs twice")
            size_bytes, type_name = self._size(name, shape, type_id)
            if offset != expected:
                raise _corrupt(self._path, f"tensor {name!r} has the offset {offset}, not {expected}")
            if data_start + offset + size_bytes > len(self._view):
                raise _corrupt(self._path, f"the data of tensor {name!r} is cut short")
            tensors[name] = TensorEntry(self._path, name, shape, type_name, data_start + offset, size_bytes)
            expected += -(-size_bytes // alignment) * alignment
        return tensors

    def _tensor_row(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._string()
        (dimensions,) = self._unpack("I")
        if not 1 <= dimensions <= _MAX_DIMENSIONS:
            raise _corrupt(self._path, f"tensor {name!r} has {dimensions} dimensions")
        shape = self._unpack(f"{dimensions}Q")
        type_id, offset = self._unpack("IQ")
        # ggml counts the fastest-moving dimension first, torch last.
        return name, tuple(reversed(shape)), type_id, offset

    def _size(self, name: str, shape: tuple[int, ...], type_id: int) -> tuple[int, str]:
        """Bytes that a tensor takes in the file, and the name of its type."""
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

        try:
            ggml_type = GGMLQuantizationType(type_id)
        except ValueError:
            raise self._other_type(name, type_id) from None
        block_length, block_bytes = GGML_QUANT_SIZES[ggml_type]
        if 0 in shape or shape[-1] % block_length:
            raise _corrupt(self._path, f"tensor {name!r} of type {ggml_type.name} has shape {list(shape)}")
        return math.prod(shape) // block_length * block_bytes, ggml_type.name

    def _other_type(self, name: str, type_id: int) -> SourceError:
        removed = _REMOVED_TYPES.get(type_id)
        if removed is None:
            what = f"{type_id}, which llama.cpp's {_package()} does not know: a fork's or a newer one"
        else:
            what = f"{type_id} ({removed}), which llama.cpp no longer reads"
        stem = "IQ4_NL" if removed and removed.startswith("IQ4_NL") else "Q4_0"
        return SourceError(
            f"tensor {name!r} is of ggml type {what}",
            subject=str(self._path),
            next_step=f"Get the model in {stem} or another type of llama.cpp's, or its safetensors folder.",
        )


def _package() -> str:
    from importlib.metadata import version

    return f"gguf package {version('gguf')}"
