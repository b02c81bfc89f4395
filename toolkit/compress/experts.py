"""Matrices of a mixture of experts: one parameter holds those of all experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from toolkit.artifact import TensorQuantization
from toolkit.compress.algorithms import CALIBRATED_ALGORITHMS
from toolkit.compress.parameters import Weights
from toolkit.compress.plan import DEFAULT_ALGORITHM, QuantizationPlan
from toolkit.compress.quantize import quantize
from toolkit.compress.tensor import QuantizedTensor


@dataclass(frozen=True)
class ExpertMatrices:
    """A parameter [experts, out, in].

    Attributes:
        name: in the state dict.
        transposed: the state dict holds [experts, in, out].
        rows: output rows "kept" in their order, gates and ups brought from halves into "pairs", or from pairs
            into "halves".
    """

    name: str
    transposed: bool = False
    rows: Literal["kept", "pairs", "halves"] = "kept"

    def read(self, weights: Weights) -> torch.Tensor:
        """Float32 [experts, out, in]."""
        values = weights.read(self.name)
        return self.in_order(values.transpose(1, 2) if self.transposed else values).contiguous()

    def in_order(self, values: torch.Tensor) -> torch.Tensor:
        """Rows [experts, out, ...] in the order that is wanted."""
        if self.rows == "kept":
            return values
        experts, count = values.shape[:2]
        split = (2, count // 2) if self.rows == "pairs" else (count // 2, 2)
        return values.reshape(experts, *split, *values.shape[2:]).transpose(1, 2).reshape(values.shape)

    def spec(self, plan: QuantizationPlan) -> TensorQuantization:
        """How the plan stores it; nothing is calibrated, as each expert sees a few tokens only."""
        spec = plan.spec_for(self.name, "linear")
        if spec.algorithm in CALIBRATED_ALGORITHMS:
            return spec.model_copy(update={"algorithm": DEFAULT_ALGORITHM})
        return spec

    def quantized(self, weights: Weights, spec: TensorQuantization) -> QuantizedTensor:
        """Integers and scales of all experts' rows, one expert's after the other's."""
        values = self.read(weights)
        return quantize(values.flatten(0, 1), spec, subject=self.name)
