"""The fp32 transformers model as the judge: loaded by transformers itself, or run with streamed weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from toolkit.capture.skeleton import shared_names
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
    """Read each module's own parameters just before it runs and drop them right after.

    A module whose parameters another one reads (a mixer that convolves with its child's weight itself) gives
    them when asked.
    """
    handles, classes = [], []
    tied = {**shared_names(model), **tied}
    for name, module in model.named_modules():
        own = {key: f"{name}.{key}".lstrip(".") for key in _stored(module)}
        if own:
            stored = {key: tied.get(full, full) for key, full in own.items()}
            held: dict[str, torch.Tensor] = {}
            load, drop = _hooks(weights, stored, held)
            handles += [module.register_forward_pre_hook(load), module.register_forward_hook(drop)]
            classes.append((module, type(module)))
            module.__class__ = _read_when_asked(type(module), weights, stored, held)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module, own_class in classes:
            module.__class__ = own_class


def _read_when_asked(
    kind: type[nn.Module], weights: Weights, stored: Mapping[str, str], held: Mapping[str, torch.Tensor]
) -> type[nn.Module]:
    """A module's class whose stored tensors are there also while the module does not run."""

    def attribute(module: nn.Module, key: str) -> Any:
        # No attribute of the object's own: parameters and buffers end here.
        if key in stored and key not in held:
            return weights.read(stored[key])
        return kind.__getattr__(module, key)

    return type(kind.__name__, (kind,), {"__getattr__": attribute, "__module__": kind.__module__})


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


def _hooks(weights: Weights, stored: Mapping[str, str], held: dict[str, torch.Tensor]) -> tuple[Any, Any]:
    """What loads a module's tensors, and what puts the placeholders, which ``held`` keeps, back."""

    def load(module: nn.Module, inputs: object) -> None:
        for key, name in stored.items():
            placeholder = (module._parameters if key in module._parameters else module._buffers)[key]
            assert placeholder is not None, "stored names are those that hold something"
            held[key] = placeholder
            _put(module, key, weights.read(name))

    def drop(module: nn.Module, inputs: object, output: object) -> None:
        for key in list(held):
            _put(module, key, held.pop(key))

    return load, drop


def _put(module: nn.Module, key: str, value: torch.Tensor) -> None:
    if key not in module._parameters:
        module._buffers[key] = value
    elif isinstance(value, nn.Parameter):
        module._parameters[key] = value
    else:
        module._parameters[key] = nn.Parameter(value, requires_grad=False)
