"""Read parameters one by one from a folder's safetensors, single or sharded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import SourceCorrupt

if TYPE_CHECKING:
    import torch

    from toolkit.compress.tensor import QuantizedTensor

_COMPARED_ROWS = 4096


class StoredSafetensors:
    """The tensor tables of some safetensors files.

    Raises:
        SourceCorrupt: a file is cut short or is no safetensors file.
    """

    def __init__(self, files: list[Path]) -> None:
        self.tensors: dict[str, Stored] = {}
        for file in files:
            self.tensors.update(_table(file))

    def names(self) -> list[str]:
        """Every name in the files."""
        return list(self.tensors)

    def dtype(self, name: str) -> str:
        """Storage type: "F32", "BF16", "F8_E4M3" ..."""
        return self.tensors[name].dtype

    def equal(self, name: str, other: str) -> bool:
        """Whether two matrices hold the same numbers, compared some rows at a time."""
        import torch

        first, second = self.tensors[name], self.tensors[other]
        if first.shape != second.shape or first.dtype != second.dtype:
            return False
        starts = range(0, first.shape[0] if first.shape else 1, _COMPARED_ROWS)
        return all(torch.equal(_rows(first, start), _rows(second, start)) for start in starts)

    def weights(self, located: Mapping[str, str]) -> SafetensorsWeights:
        """Reads the parameters that lie under these names."""
        return SafetensorsWeights(self, located)


@dataclass(frozen=True)
class Stored:
    """Where a tensor lies.

    Attributes:
        dtype: as safetensors names it.
    """

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: str


class SafetensorsWeights:
    """A WeightReader over safetensors files.

    Every read opens its file anew: a mapping that stays open keeps all pages it ever touched resident.

    Args:
        stored: the files' tables.
        located: entries of the ``state_dict()`` -> names in the files.
    """

    def __init__(self, stored: StoredSafetensors, located: Mapping[str, str]) -> None:
        self._located = {parameter: stored.tensors[name] for parameter, name in located.items()}

    def names(self) -> list[str]:
        """Parameters that the files hold, in the model's order."""
        return list(self._located)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape as stored."""
        return self._located[name].shape

    def read(self, name: str) -> torch.Tensor:
        """One parameter as float32.

        Raises:
            SourceCorrupt: the file changed since it was opened first.
        """
        import torch
        from safetensors import SafetensorError, safe_open

        stored = self._located[name]
        try:
            with safe_open(stored.file, framework="pt") as tensors:
                values: torch.Tensor = tensors.get_tensor(stored.name)
        except (SafetensorError, OSError) as error:
            raise _corrupt(stored.file, error) from None
        return values.to(torch.float32)

    def read_blocks(self, name: str) -> QuantizedTensor | None:
        """None: safetensors hold plain numbers."""
        return None


def _rows(stored: Stored, start: int) -> torch.Tensor:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(stored.file, framework="pt") as tensors:
            rows: torch.Tensor = tensors.get_slice(stored.name)[start : start + _COMPARED_ROWS]
    except (SafetensorError, OSError) as error:
        raise _corrupt(stored.file, error) from None
    return rows


def _table(file: Path) -> dict[str, Stored]:
    from safetensors import SafetensorError, safe_open

    table = {}
    try:
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                view = tensors.get_slice(name)
                table[name] = Stored(file, name, tuple(view.get_shape()), str(view.get_dtype()))
    except (SafetensorError, OSError, ValueError) as error:
        raise _corrupt(file, error) from None
    return table


def _corrupt(file: Path, error: Exception) -> SourceCorrupt:
    return SourceCorrupt(
        f"truncated or damaged safetensors file ({error})",
        subject=str(file),
        next_step="Get the file again.",
    )
