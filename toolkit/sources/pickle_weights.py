"""Read parameters from PyTorch's pickle files; only with the user's explicit trust."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import SourceCorrupt
from toolkit.sources.checkpoint_names import stored_name

if TYPE_CHECKING:
    import torch

    from toolkit.compress.tensor import QuantizedTensor


def pickle_files(folder: Path) -> list[Path]:
    """Pickled weight files of a folder."""
    return sorted([*folder.glob("pytorch_model*.bin"), *folder.glob("model*.pt"), *folder.glob("*.pth")])


class PickleWeights:
    """A WeightReader over ``pytorch_model*.bin``, mapped lazily and restricted to plain tensors.

    Args:
        files: the files.
        parameters: the ``state_dict()`` entries that the model has.

    Raises:
        SourceCorrupt: a file cannot be loaded as plain tensors.
    """

    def __init__(self, files: list[Path], parameters: list[str]) -> None:
        stored: dict[str, torch.Tensor] = {}
        for file in files:
            stored.update(_load(file))
        self._tensors: dict[str, torch.Tensor] = {}
        for parameter in parameters:
            name = stored_name(parameter, stored)
            if name is not None:
                self._tensors[parameter] = stored[name]

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

    import torch

    try:
        # weights_only keeps even a trusted file from running code that loading weights does not need.
        loaded = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError) as error:
        raise SourceCorrupt(
            f"cannot be loaded as plain tensors ({str(error).splitlines()[0]})", subject=str(file)
        ) from None
    if not isinstance(loaded, dict):
        raise SourceCorrupt("holds no state dict", subject=str(file))
    return {name: value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
