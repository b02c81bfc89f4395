"""Named quantization plans that a study has earned; docs/quantization.md has the figures."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.artifact import TensorQuantization
from toolkit.errors import UnknownScheme
from toolkit.registry import Registry


@dataclass(frozen=True)
class Preset:
    """A plan for any decoder.

    Attributes:
        linear: the decoder layers' matrices.
        vocabulary: embedding and lm_head; the embedding drops the activation part.
        overrides: (pattern, spec) for linears, where "{last}" stands for the last layer's index.
    """

    linear: TensorQuantization
    vocabulary: TensorQuantization
    overrides: tuple[tuple[str, TensorQuantization], ...] = ()

    def overrides_for(self, layers: int) -> tuple[tuple[str, TensorQuantization], ...]:
        """The overrides of a model with so many layers."""
        return tuple((pattern.replace("{last}", str(layers - 1)), spec) for pattern, spec in self.overrides)


PRESETS: Registry[Preset] = Registry("quantization preset", UnknownScheme)
