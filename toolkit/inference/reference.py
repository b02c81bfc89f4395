"""The fp32 transformers model as the judge: loaded by transformers itself, or run with streamed weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from toolkit.inference.original import check_reader, whole_original

if TYPE_CHECKING:
    from toolkit.compress.parameters import Weights
    from toolkit.sources.base import ModelSource


def reference_logits(
    source: ModelSource,
    skeleton: Any,
    tied: Mapping[str, str],
    ids: Sequence[Sequence[int]],
    *,
    first_position: int = 0,
) -> torch.Tensor:
    """Logits of the original model.

    Args:
        source: where it comes from.
        skeleton: the model without weights, for sources that are not loaded whole.
        tied: alias -> stored parameter.
        ids: token ids of equally long texts [texts, length].
        first_position: where the texts begin.

    Returns:
        float32 [texts, length, vocab].

    Raises:
        ParityFailed: our reader gives other weights than the makers' own code.
        SourceError: the makers' own code cannot load the model.
    """
    weights = source.weights
    model = whole_original(source, sum(math.prod(weights.shape(name)) for name in weights.names()))
    if model is not None:
        return _logits(model, ids, first_position)
    check_reader(source)
    return streamed_logits(skeleton, weights, tied, ids, first_position=first_position)


def streamed_logits(
    model: Any,
    weights: Weights,
    tied: Mapping[str, str],
    ids: Sequence[Sequence[int]],
    *,
    first_position: int = 0,
) -> torch.Tensor:
    """Logits of a model with weights that are read as they are needed.

    Args:
        model: a skeleton.
        weights: reads parameters as float32.
        tied: alias -> stored parameter.
        ids: token ids of equally long texts [texts, length].
        first_position: where the texts begin.

    Returns:
        float32 [texts, length, vocab].
    """
    with streamed(model, weights, tied):
        return _logits(model, ids, first_position)


def _logits(model: Any, ids: Sequence[Sequence[int]], first_position: int) -> torch.Tensor:
    positions = torch.arange(len(ids[0]))[None] + first_position
    given = {"position_ids": positions.expand(len(ids), -1)} if first_position else {}
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=torch.tensor(ids), use_cache=False, **given).logits
    return logits.to(torch.float32)


@contextmanager
def streamed(model: nn.Module, weights: Weights, tied: Mapping[str, str]) -> Iterator[None]:
    """Read each module's own parameters just before it runs and drop them right after."""
    handles = []
    for name, module in model.named_modules():
        own = {key: f"{name}.{key}".lstrip(".") for key in _stored(module)}
        if own:
            stored = {key: tied.get(full, full) for key, full in own.items()}
            load, drop = _hooks(weights, stored)
            handles += [module.register_forward_pre_hook(load), module.register_forward_hook(drop)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _stored(module: nn.Module) -> list[str]:
    """Parameters, and buffers that checkpoints hold, such as a router's bias."""
    buffers = [
        key
        for key, value in module._buffers.items()
        if value is not None
        and key not in module._non_persistent_buffers_set
        and value.is_floating_point()
        and value.dim() > 0
    ]
    return [*(key for key, value in module._parameters.items() if value is not None), *buffers]


def _hooks(weights: Weights, stored: Mapping[str, str]) -> tuple[Any, Any]:
    placeholders: dict[str, Any] = {}

    def load(module: nn.Module, inputs: object) -> None:
        for key, name in stored.items():
            placeholders[key] = getattr(module, key)
            if key in module._parameters:
                module._parameters[key] = nn.Parameter(weights.read(name), requires_grad=False)
            else:
                module._buffers[key] = weights.read(name)

    def drop(module: nn.Module, inputs: object, output: object) -> None:
        for key, value in placeholders.items():
            (module._parameters if key in module._parameters else module._buffers)[key] = value

    return load, drop
