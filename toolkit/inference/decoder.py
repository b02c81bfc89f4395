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

    @property
    def every_position(self) -> bool:
        """Whether a step gives logits of all its tokens, not of the last one alone."""
        ...

    def reset(self) -> None:
        """Forget everything seen."""
        ...

    def rewind(self, position: int) -> int:
        """Forget all but the first tokens.

        Args:
            position: how many to keep, at most as many as were seen.

        Returns:
            How many are kept: fewer, down to none, where the states cannot go back so far.
        """
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
