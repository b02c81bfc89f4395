"""The data of a program: segments of one file, which may overlap.

Weights go to a file as they come, so that no more than one is in memory. A program's constants are one
segment, and delegates find their weights by name in segments of their own. The format gives each segment an
offset and a size and nothing else, so a matrix that kernels and delegates both read is stored once: its named
segment lies within the constants'.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO

from executorch.exir import schema
from executorch.exir._serialize._flatbuffer_program import _program_to_flatbuffer
from executorch.exir._serialize._program import _ExtendedHeader, _insert_flatbuffer_header

from toolkit.export.executorch.memory import aligned

# What ExecuTorch's own exporter aligns segments and the tensors within them to.
_SEGMENT_ALIGNMENT = 128
TENSOR_ALIGNMENT = 16
_IDENTIFIER = r"ET[0-9a-zA-Z][0-9a-zA-Z]"


class Segments:
    """Collects segments in a temporary file beside the program.

    Args:
        folder: where the program will be written.
    """

    def __init__(self, folder: Path) -> None:
        self._spool: IO[bytes] = TemporaryFile(dir=folder)
        self._table: list[schema.DataSegment] = []
        self._named: dict[str, int] = {}

    def __enter__(self) -> Segments:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.close()

    def append(self, content: bytes) -> int:
        """Add a segment; returns its index."""
        offset = aligned(self._spool.tell(), _SEGMENT_ALIGNMENT)
        self._spool.write(b"\0" * (offset - self._spool.tell()))
        self._spool.write(content)
        self._table.append(schema.DataSegment(offset, len(content)))
        return len(self._table) - 1

    def name(self, key: str, content: bytes) -> None:
        """Add a segment that delegates find under ``key``; a key that exists already keeps its content."""
        if key not in self._named:
            self._named[key] = self.append(content)

    def constants(self, contents: Sequence[tuple[bytes, str | None]]) -> schema.SubsegmentOffsets:
        """Add the constants' segment; those with a key are found under it by delegates, too."""
        # Entry 0 is reserved and means "no constant".
        offsets, packed = [0], bytearray()
        for content, _ in contents:
            packed += b"\0" * (-len(packed) % TENSOR_ALIGNMENT)
            offsets.append(len(packed))
            packed += content
        index = self.append(bytes(packed))
        start = self._table[index].offset
        for offset, (content, key) in zip(offsets[1:], contents, strict=True):
            if key is not None:
                self._table.append(schema.DataSegment(start + offset, len(content)))
                self._named[key] = len(self._table) - 1
        return schema.SubsegmentOffsets(index, offsets)

    def write(self, path: Path, program: schema.Program) -> None:
        """Write the program, its header and all segments."""
        program.segments = self._table
        program.named_data = [schema.NamedData(key, index) for key, index in self._named.items()]
        encoded = _program_to_flatbuffer(program, constant_tensor_alignment=TENSOR_ALIGNMENT)
        header_size = aligned(_ExtendedHeader.EXPECTED_LENGTH, encoded.max_alignment)
        program_size = header_size + len(encoded.data)
        base = aligned(program_size, _SEGMENT_ALIGNMENT)
        header = _ExtendedHeader(
            program_size=program_size, segment_base_offset=base, segment_data_size=self._spool.tell()
        )
        flatbuffer: bytes = _insert_flatbuffer_header(
            flatbuffer_data=encoded.data,
            magic_regex=_IDENTIFIER,
            header_data=header.to_bytes().ljust(header_size, b"\0"),
        )
        with path.open("wb") as stream:
            stream.write(flatbuffer.ljust(base, b"\0"))
            self._spool.seek(0)
            shutil.copyfileobj(self._spool, stream, 1 << 20)
