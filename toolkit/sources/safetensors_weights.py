"""Read parameters one by one from a folder's safetensors, single or sharded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import MissingWeights, SourceCorrupt
from toolkit.sources.checkpoint_names import stored_name

if TYPE_CHECKING:
    import torch

    from toolkit.compress.tensor import QuantizedTensor

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


def safetensors_files(folder: Path) -> list[Path]:
    """The weight files of a folder: the index's shards, model.safetensors, or else all of them.

    Raises:
        SourceCorrupt: the index cannot be read.
        MissingWeights: the index names files that are not there.
    """
    index = folder / INDEX
    if index.is_file():
        shards = shards_of_index(index)
        missing = [shard for shard in shards if not (folder / shard).is_file()]
        if missing:
            raise MissingWeights(
                f"{len(missing)} of {len(shards)} weight files are missing: {', '.join(missing[:4])}",
                subject=str(folder),
                next_step="Download the missing files into the folder.",
            )
        return [folder / shard for shard in shards]
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    # Mistral's repositories hold a second copy in another naming.
    return sorted(file for file in folder.glob("*.safetensors") if not file.name.startswith("consolidated"))


def shards_of_index(index: Path) -> list[str]:
    """File names in an index, each once, sorted.

    Raises:
        SourceCorrupt: not an index, or one that points outside its folder.
    """
    try:
        weight_map = json.loads(index.read_text())["weight_map"]
        shards = sorted(set(weight_map.values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceCorrupt(
            f"the index cannot be read: {error}", subject=str(index), next_step="Get the file again."
        ) from None
    if any(not isinstance(shard, str) or Path(shard).name != shard for shard in shards):
        raise SourceCorrupt("the index names files outside its folder", subject=str(index))
    return shards


class SafetensorsWeights:
    """A WeightReader over safetensors files.

    Every read opens its file anew: a mapping that stays open keeps all pages it ever touched resident.

    Args:
        files: the safetensors files.
        parameters: the ``state_dict()`` entries that the model has.

    Raises:
        SourceCorrupt: a file is cut short or is no safetensors file.
    """

    def __init__(self, files: list[Path], parameters: list[str]) -> None:
        stored: dict[str, tuple[Path, tuple[int, ...]]] = {}
        for file in files:
            stored.update({name: (file, shape) for name, shape in _shapes(file).items()})
        self._located: dict[str, tuple[Path, str, tuple[int, ...]]] = {}
        for parameter in parameters:
            name = stored_name(parameter, stored)
            if name is not None:
                file, shape = stored[name]
                self._located[parameter] = (file, name, shape)

    def names(self) -> list[str]:
        """Parameters that the files hold, in the model's order."""
        return list(self._located)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape as stored."""
        return self._located[name][2]

    def read(self, name: str) -> torch.Tensor:
        """One parameter as float32.

        Raises:
            SourceCorrupt: the file changed since it was opened first.
        """
        import torch
        from safetensors import SafetensorError, safe_open

        file, stored, _ = self._located[name]
        try:
            with safe_open(file, framework="pt") as tensors:
                values: torch.Tensor = tensors.get_tensor(stored)
        except (SafetensorError, OSError) as error:
            raise _corrupt(file, error) from None
        return values.to(torch.float32)

    def read_blocks(self, name: str) -> QuantizedTensor | None:
        """None: safetensors hold plain numbers."""
        return None


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise _corrupt(file, error) from None


def _corrupt(file: Path, error: Exception) -> SourceCorrupt:
    return SourceCorrupt(
        f"truncated or damaged safetensors file ({error})",
        subject=str(file),
        next_step="Get the file again.",
    )
