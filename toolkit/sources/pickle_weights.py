"""Read parameters from PyTorch's pickle files; only with the user's explicit trust."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import SourceCorrupt, first_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from toolkit.compress.tensor import QuantizedTensor

_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int8": "I8",
    "uint8": "U8",
} | {
    "int32": "I32",
    "uint32": "U32",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
}


class StoredPickles:
    """All tensors of some pickle files.

    Raises:
        SourceCorrupt: a file cannot be loaded as plain tensors.
    """

    def __init__(self, files: list[Path]) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        for file in files:
            self.tensors.update(_load(file))

    def names(self) -> list[str]:
        """Every name in the files."""
        return list(self.tensors)

    def dtype(self, name: str) -> str:
        """Storage type as safetensors names it."""
        dtype = str(self.tensors[name].dtype).removeprefix("torch.")
        return _DTYPES.get(dtype, dtype)

    def equal(self, name: str, other: str) -> bool:
        """Whether two tensors hold the same numbers."""
        import torch

        return torch.equal(self.tensors[name], self.tensors[other])

    def weights(self, located: Mapping[str, str]) -> PickleWeights:
        """Reads the parameters that lie under these names."""
        return PickleWeights(self, located)


class PickleWeights:
    """A WeightReader over ``pytorch_model*.bin``, mapped lazily and restricted to plain tensors.

    Args:
        stored: the files' tensors.
        located: entries of the ``state_dict()`` -> names in the files.
    """

    def __init__(self, stored: StoredPickles, located: Mapping[str, str]) -> None:
        self._tensors = {parameter: stored.tensors[name] for parameter, name in located.items()}

    def names(self) -> list[str]:
        """Parameters that the files hold, in the model's order."""
        return list(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape as stored."""
        return tuple(self._tensors[name].shape)

    def read(self, name: str) -> torch.Tensor:
        """One parameter as float32."""
        import torch

        return self._tensors[name].to(torch.float32)

    def read_blocks(self, name: str) -> QuantizedTensor | None:
        """None: pickles hold plain numbers."""
        return None


def _load(file: Path) -> dict[str, torch.Tensor]:
    import pickle
    import zipfile

    import torch

    try:
        # weights_only keeps even a trusted file from running code that loading weights does not need.
        # Files of before torch 1.6 are no archives, and cannot be mapped.
        mapped = zipfile.is_zipfile(file)
        loaded = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError) as error:
        raise SourceCorrupt(
            f"cannot be loaded as plain tensors ({first_line(error)})",
            subject=str(file),
            next_step="Get the file again, or a model.safetensors of the same model.",
        ) from None
    if not isinstance(loaded, dict):
        raise SourceCorrupt(
            "holds no state dict", subject=str(file), next_step="Get a model.safetensors of the same model."
        )
    tensors = {
        name: value
        for name, value in loaded.items()
        if isinstance(name, str) and isinstance(value, torch.Tensor)
    }
    _check_plain(file, loaded, tensors)
    return tensors


def _check_plain(file: Path, loaded: Mapping[Any, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    """Refuse tensors without numbers of their own, and a training's state around the weights."""
    import torch

    for name, tensor in tensors.items():
        if tensor.is_meta or tensor.layout != torch.strided:
            raise SourceCorrupt(
                f"{name} is {'without numbers' if tensor.is_meta else str(tensor.layout)}, no plain tensor",
                subject=str(file),
                next_step="Get a model.safetensors of the same model.",
            )
    inner = [
        name
        for name, value in loaded.items()
        if isinstance(value, dict) and any(isinstance(one, torch.Tensor) for one in value.values())
    ]
    if inner and not tensors:
        raise SourceCorrupt(
            f"is a training's state: its weights lie within {inner[0]!r}, where nobody looks for them",
            subject=str(file),
            next_step=f"Save them alone: torch.save(torch.load(FILE)[{inner[0]!r}], FILE).",
        )
