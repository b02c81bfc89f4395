"""Quantization schemes, named as in torchao."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from toolkit.errors import UnknownScheme
from toolkit.registry import Registry


@dataclass(frozen=True)
class Scheme:
    """How weights are stored and how a linear computes with them.

    Attributes:
        name: "8da4w" reads: 8-bit dynamically quantized activations, 4-bit weights.
        weight_bits: 32, 16, 8 or 4.
        dynamic_activation: activations are quantized to int8 at run time, so that the product runs on
            integers; otherwise weights are widened to float.
        float_dtype: torch's name of the dtype for schemes that keep floats, else None.
    """

    name: str
    weight_bits: int
    dynamic_activation: bool = False
    float_dtype: Literal["float32", "float16"] | None = None

    @property
    def quantized(self) -> bool:
        """Whether weights become integers with scales."""
        return self.float_dtype is None

    @property
    def weight_only(self) -> Scheme:
        """The scheme that stores the same weights and leaves activations as they are."""
        return self if not self.quantized else find_scheme(self.weight_bits, dynamic_activation=False)

    @property
    def dynamic(self) -> Scheme | None:
        """The scheme that stores the same weights and quantizes activations; floats have none."""
        return find_scheme(self.weight_bits, dynamic_activation=True) if self.quantized else None

    @property
    def eight_bit(self) -> Scheme:
        """The scheme that treats activations alike and has 8-bit weights; floats stay as they are."""
        if not self.quantized:
            return self
        return find_scheme(8, dynamic_activation=self.dynamic_activation)


SCHEMES: Registry[Scheme] = Registry("quantization scheme", UnknownScheme)

for _scheme in (
    Scheme("fp32", 32, float_dtype="float32"),
    Scheme("fp16", 16, float_dtype="float16"),
    Scheme("8w", 8),
    Scheme("8da8w", 8, dynamic_activation=True),
    Scheme("4w", 4),
    Scheme("8da4w", 4, dynamic_activation=True),
):
    SCHEMES.register(_scheme.name, _scheme)


def find_scheme(weight_bits: int, *, dynamic_activation: bool) -> Scheme:
    """The quantized scheme with these properties.

    Raises:
        UnknownScheme: none has them.
    """
    for scheme in SCHEMES.values():
        held = (scheme.weight_bits, scheme.dynamic_activation, scheme.quantized)
        if held == (weight_bits, dynamic_activation, True):
            return scheme
    activations = "dynamic 8-bit" if dynamic_activation else "float"
    raise UnknownScheme(
        f"No scheme has {weight_bits}-bit weights and {activations} activations.",
        next_step=f"Choose one of {', '.join(SCHEMES)}.",
    )
