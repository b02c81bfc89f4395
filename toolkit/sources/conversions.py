"""Parameters that checkpoints store in another form, by transformers' own tables of such forms.

A mixture of experts is stored as one matrix for each expert and read as one parameter for all of them, say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

    from toolkit.compress.tensor import QuantizedTensor
    from toolkit.sources.base import WeightReader


class ModelTables(Protocol):
    """What is known of a model class."""

    @property
    def conversions(self) -> Sequence[Any]:
        """Transformers' renamings and converters for it."""
        ...

    @property
    def base_prefix(self) -> str:
        """Name of the module that holds the body."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every parameter."""
        ...


@dataclass(frozen=True)
class Conversion:
    """How a parameter comes from stored tensors.

    Attributes:
        converter: transformers' WeightConverter; None for a tensor under another name.
        sources: (pattern that it matched, stored name), in the order of the checkpoint's numbers.
        layer: the first parameter that the converter yields.
    """

    converter: Any
    sources: tuple[tuple[str, str], ...]
    layer: str

    def convert(self, tensors: Mapping[str, torch.Tensor], config: Any) -> dict[str, torch.Tensor]:
        """Parameters from stored tensors by name; more than one where a stored one is cut."""
        if self.converter is None:
            return {self.layer: tensors[self.sources[0][1]]}
        original = self.converter
        fresh = original.copy(
            list(original._original_source_patterns),
            list(original._original_target_patterns),
            operations=original.operations,
        )
        for pattern, name in self.sources:
            fresh.add_tensor(self.layer, name, pattern, _Loaded(tensors[name]))
        converted: dict[str, torch.Tensor] = fresh.convert(self.layer, config=config)
        return {name: tensor[0] if isinstance(tensor, list) else tensor for name, tensor in converted.items()}


class _Loaded:
    """A tensor as transformers' converters take it."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor = tensor

    def __call__(self) -> torch.Tensor:
        return self._tensor


def conversions_of(
    missing: Iterable[str], stored: Iterable[str], model: ModelTables
) -> dict[str, Conversion]:
    """Parameters that are not stored under their names -> how they come from what is stored."""
    from transformers.core_model_loading import (
        WeightConverter,
        WeightRenaming,
        dot_natural_key,
        rename_source_key,
    )

    wanted = set(missing)
    renamings = [one for one in model.conversions if isinstance(one, WeightRenaming)]
    converters = [one for one in model.conversions if isinstance(one, WeightConverter)]
    by_pattern = {pattern: one for one in converters for pattern in one.source_patterns}
    known = dict.fromkeys(model.parameters, True)
    found: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(stored, key=dot_natural_key):
        target, pattern = rename_source_key(name, renamings, converters, model.base_prefix, known)
        found.setdefault(target, []).append((pattern or "", name))
    results = {}
    for target, sources in found.items():
        converter = by_pattern.get(sources[0][0])
        if converter is None and target not in wanted:
            continue
        conversion = Conversion(converter, tuple(sources), target)
        for parameter in _yields(target, converter, model.parameters):
            if parameter in wanted:
                results[parameter] = conversion
    return results


def _yields(target: str, converter: Any, parameters: Mapping[str, Any]) -> list[str]:
    """Every parameter that comes of a conversion whose first one is named."""
    if converter is None:
        return [target]
    first = converter.target_patterns[0]
    names = [target.replace(first, other, 1) for other in converter.target_patterns]
    return [name for name in names if name in parameters]


class ConvertedWeights:
    """A WeightReader whose parameters may come from several stored tensors.

    Args:
        plain: reads the parameters that are stored as they are.
        pieces: reads stored tensors by their own names.
        conversions: how the others come from those.
        order: names of all parameters, in the model's order.
        config: the model's.
    """

    def __init__(
        self,
        plain: WeightReader,
        pieces: WeightReader,
        conversions: Mapping[str, Conversion],
        order: Iterable[str],
        config: Any,
    ) -> None:
        self._plain = plain
        self._pieces = pieces
        self._conversions = conversions
        self._config = config
        held = {*plain.names(), *conversions}
        self._names = [name for name in order if name in held]

    def names(self) -> list[str]:
        """Parameters that the files hold, in the model's order."""
        return list(self._names)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a parameter, found without reading it."""
        import torch

        if name not in self._conversions:
            return self._plain.shape(name)
        conversion = self._conversions[name]
        empty = {
            stored: torch.empty(self._pieces.shape(stored), device="meta") for _, stored in conversion.sources
        }
        return tuple(conversion.convert(empty, self._config)[name].shape)

    def read(self, name: str) -> torch.Tensor:
        """One parameter as float32."""
        if name not in self._conversions:
            return self._plain.read(name)
        conversion = self._conversions[name]
        tensors = {stored: self._pieces.read(stored) for _, stored in conversion.sources}
        return conversion.convert(tensors, self._config)[name].contiguous()

    def read_blocks(self, name: str) -> QuantizedTensor | None:
        """What is stored as integers; converted parameters are not."""
        return None if name in self._conversions else self._plain.read_blocks(name)
