"""The one interface to a decoder on this host."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from toolkit.registry import resolve

if TYPE_CHECKING:
    import torch

    from toolkit.engines.spec import EngineSpec


class Decoder(Protocol):
    """A decoder with its own state, batch 1: tokens in, logits out."""

    def reset(self) -> None:
        """Forget everything seen."""
        ...

    def step(self, ids: Sequence[int]) -> torch.Tensor:
        """Feed tokens; returns logits, float32 [1 or len(ids), vocab]."""
        ...


def open_decoder(engine: EngineSpec, folder: Path, capacity: int) -> Decoder:
    """An artifact in its engine on this host.

    Args:
        engine: that it was converted for.
        folder: the artifact's.
        capacity: tokens that it will be fed.
    """
    decoder: Decoder = resolve(engine.decoder)(folder / engine.model_file, capacity)
    return decoder
