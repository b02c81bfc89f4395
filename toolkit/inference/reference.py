"""The fp32 transformers model as the judge, run without ever holding all of its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from toolkit.compress.parameters import Weights


def reference_logits(
    model: Any, weights: Weights, tied: Mapping[str, str], ids: Sequence[Sequence[int]]
) -> torch.Tensor:
    """Logits of the original model.

    Args:
        model: a skeleton with an ordinary attention implementation ("sdpa").
        weights: reads parameters as float32.
        tied: alias -> stored parameter.
        ids: token ids of equally long texts [texts, length].

    Returns:
        float32 [texts, length, vocab].
    """
    with torch.no_grad(), streamed(model, weights, tied):
        logits: torch.Tensor = model(torch.tensor(ids), use_cache=False).logits
    return logits.to(torch.float32)


@contextmanager
def streamed(model: nn.Module, weights: Weights, tied: Mapping[str, str]) -> Iterator[None]:
    """Read each module's own parameters just before it runs and drop them right after."""
    handles = []
    for name, module in model.named_modules():
        own = {
            key: f"{name}.{key}".lstrip(".") for key, value in module._parameters.items() if value is not None
        }
        if own:
            stored = {key: tied.get(full, full) for key, full in own.items()}
            load, drop = _hooks(weights, stored)
            handles += [module.register_forward_pre_hook(load), module.register_forward_hook(drop)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hooks(weights: Weights, stored: Mapping[str, str]) -> tuple[Any, Any]:
    placeholders: dict[str, Any] = {}

    def load(module: nn.Module, inputs: object) -> None:
        for key, name in stored.items():
            placeholders[key] = module._parameters[key]
            module._parameters[key] = nn.Parameter(weights.read(name), requires_grad=False)

    def drop(module: nn.Module, inputs: object, output: object) -> None:
        module._parameters.update(placeholders)

    return load, drop
