"""A decoder's parameters as the lowerings see them: who reads them, what they are, what is carried over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from toolkit.artifact import TensorQuantization
from toolkit.compress.plan import QuantizationPlan, Role
from toolkit.compress.quantize import quantize
from toolkit.compress.schemes import find_scheme

if TYPE_CHECKING:
    import torch

    from toolkit.compress.tensor import QuantizedTensor


class Weights(Protocol):
    """What a lowering needs of a source's reader."""

    def read(self, name: str) -> torch.Tensor:
        """One parameter as float32."""

    def read_blocks(self, name: str) -> QuantizedTensor | None:
        """The source's own integers, if it has any that fit."""


@dataclass(frozen=True)
class Matrix:
    """A parameter used as the [out, in] matrix of a linear or as a table.

    Attributes:
        name: in the state dict.
        role: decides the quantization.
        transposed: the state dict holds it as [in, out] (GPT-2's Conv1D).
    """

    name: str
    role: Role
    transposed: bool = False

    def read(self, weights: Weights) -> torch.Tensor:
        """The matrix as float32 [out, in]."""
        weight = weights.read(self.name)
        return weight.t().contiguous() if self.transposed else weight

    def carried_over(self, weights: Weights, plan: QuantizationPlan) -> QuantizedTensor | None:
        """The source's own integers, where the plan takes them over."""
        if plan.carry_over == "nothing" or (plan.carry_over == "linears" and self.role != "linear"):
            return None
        tensor = weights.read_blocks(self.name)
        if tensor is None or (plan.carry_over != "all" and tensor.bits != 4):
            return None
        # Engines look tokens up with whole zero points only; such a table is quantized again.
        return None if self.role != "linear" and tensor.exact_offsets else tensor


def quantized(
    matrix: Matrix, weights: Weights, spec: TensorQuantization, calibrated: Mapping[str, QuantizedTensor]
) -> QuantizedTensor:
    """A matrix's integers and scales, the same for every engine.

    Args:
        matrix: which one.
        weights: reads parameters as float32.
        spec: how.
        calibrated: matrices that were quantized for their inputs already, by name.
    """
    if matrix.name in calibrated:
        return calibrated[matrix.name]
    return quantize(matrix.read(weights), spec, subject=matrix.name)


def carried_spec(tensor: QuantizedTensor, *, dynamic_activation: bool) -> TensorQuantization:
    """What the manifest says of integers that were carried over."""
    return TensorQuantization(
        scheme=find_scheme(tensor.bits, dynamic_activation=dynamic_activation).name,
        group_size=tensor.group_size,
        symmetric=tensor.symmetric,
        algorithm="source",
    )
