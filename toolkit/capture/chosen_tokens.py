"""Attention to tokens that a model chooses for each token (DeepSeek-V3.2 and later).

An indexer scores all tokens so far, or blocks of them, and names the best few. While a text has no more
than that, it names all, and the attention is the plain one: that is what is captured.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


class EveryToken:
    """Stands for the indices of all tokens, and for the mask from which they would be chosen."""

    def __getitem__(self, place: object) -> EveryToken:
        return self


def whole_text(model: nn.Module) -> int | None:
    """The longest text of which each token attends to all before it; None where no token is chosen."""
    return min(filter(None, map(_chosen, model.modules())), default=None)


def _chosen(module: nn.Module) -> int | None:
    """How many tokens an indexer names; None for any other module."""
    if not type(module).__name__.endswith("Indexer"):
        return None
    blocks, size = (getattr(module, name, None) for name in ("topk_blocks", "block_size"))
    return blocks * size if blocks and size else getattr(module, "index_topk", None)


def choose_every_token(module: nn.Module) -> Callable[..., EveryToken] | None:
    """What stands for an indexer; None for any other module."""
    return None if _chosen(module) is None else lambda *args, **kwargs: EveryToken()
