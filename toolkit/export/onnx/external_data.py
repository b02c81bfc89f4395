"""Initializers streamed to one external data file, so that no more than one weight is in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

FILE_NAME = "model.onnx.data"
# Below this a tensor is kept in the model file: a page of the data file per scalar would only waste space.
_INLINE_BYTES = 1024
# Engines map the file into memory; cache-line alignment keeps vector loads from straddling lines.
_ALIGNMENT = 64

_DTYPES = {
    np.dtype("float32"): TensorProto.FLOAT,
    np.dtype("float16"): TensorProto.FLOAT16,
    np.dtype("uint8"): TensorProto.UINT8,
    np.dtype("int64"): TensorProto.INT64,
    np.dtype("int32"): TensorProto.INT32,
}


class ExternalData:
    """Writes the data file and collects the initializers that point into it."""

    def __init__(self, folder: Path) -> None:
        self.initializers: list[TensorProto] = []
        self._file = (folder / FILE_NAME).open("wb")

    def __enter__(self) -> ExternalData:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, name: str, parts: Sequence[NDArray[np.generic]], shape: Sequence[int]) -> str:
        """Append a tensor given as consecutive parts along its first dimension; returns its name."""
        tensor = TensorProto(name=name, data_type=_DTYPES[parts[0].dtype], dims=shape)
        size = sum(part.nbytes for part in parts)
        if size < _INLINE_BYTES:
            tensor.raw_data = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
        else:
            self._file.write(b"\0" * (-self._file.tell() % _ALIGNMENT))
            _point_to(tensor, self._file.tell(), size)
            for part in parts:
                self._file.write(np.ascontiguousarray(part).data)
        self.initializers.append(tensor)
        return name

    def alias(self, name: str, of: str, shape: Sequence[int]) -> str:
        """A second initializer over the bytes of an earlier one, stored once on disk."""
        original = next(tensor for tensor in self.initializers if tensor.name == of)
        tensor = TensorProto()
        tensor.CopyFrom(original)
        tensor.name = name
        del tensor.dims[:]
        tensor.dims.extend(shape)
        self.initializers.append(tensor)
        return name


def _point_to(tensor: TensorProto, offset: int, length: int) -> None:
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", FILE_NAME), ("offset", str(offset)), ("length", str(length))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
