"""Named quantization plans that a study has earned; docs/quantization.md has the figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from toolkit.artifact import TensorQuantization
from toolkit.errors import UnknownScheme
from toolkit.models.shape import Part
from toolkit.registry import Registry


@dataclass(frozen=True)
class Preset:
    """A plan for any decoder.

    Attributes:
        linear: the decoder layers' matrices.
        vocabulary: embedding and lm_head; the embedding drops the activation part.
        parts: (part, spec) for linears that play a part, whatever they are called.
        carry_over: as in QuantizationPlan.
    """

    linear: TensorQuantization
    vocabulary: TensorQuantization
    parts: tuple[tuple[Part, TensorQuantization], ...] = ()
    carry_over: Literal["nothing", "linears", "all"] = "nothing"


PRESETS: Registry[Preset] = Registry("quantization preset", UnknownScheme)

_FOUR_BIT = TensorQuantization(scheme="8da4w", group_size=32, symmetric=False, algorithm="hqq")
_EIGHT_BIT = TensorQuantization(scheme="8da8w", group_size=32, symmetric=True, algorithm="hqq")

# The vocabulary in groups of 16: it is a fifth of a small decoder, and its output side decides every token.
# The value projections and the last down projection in 8 bits: 3 % of the weights where values have a matrix
# of their own, and a third of the divergence that 4-bit linears cause. A source whose linears are 4-bit
# blocks already keeps them: rounding a second time, to another grid, costs more than the first time did.
PRESETS.register(
    "mobile-4bit",
    Preset(
        linear=_FOUR_BIT,
        vocabulary=_FOUR_BIT.model_copy(update={"group_size": 16}),
        parts=(("value", _EIGHT_BIT), ("last_down", _EIGHT_BIT)),
        carry_over="linears",
    ),
)
# For quality first: 1.7 times as large, within 1 % of fp32's perplexity.
PRESETS.register("mobile-8bit", Preset(linear=_EIGHT_BIT, vocabulary=_EIGHT_BIT))

# As help texts list them.
PRESET_NAMES = ", ".join(PRESETS)
