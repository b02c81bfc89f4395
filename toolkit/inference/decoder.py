"""The one interface to a decoder on this host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch


class Decoder(Protocol):
    """A decoder with its own state, batch 1: tokens in, logits out."""

    def reset(self) -> None:
        """Forget everything seen."""
        ...

    def step(self, ids: Sequence[int]) -> torch.Tensor:
        """Feed tokens; returns logits, float32 [1 or len(ids), vocab]."""
        ...
