"""The quantized tensor that every lowering takes: integers, scales, zero points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class QuantizedTensor:
    """A matrix stored as ``(values - zero_points) * scales`` with one scale per group of a row.

    Attributes:
        values: uint8 [rows, columns], 0 .. 2**bits - 1. Rows are output features (or vocabulary entries),
            columns are input features; groups run along columns.
        scales: float32 [rows, groups].
        zero_points: float32 [rows, groups]; whole numbers within 0 .. 2**bits - 1 unless ``exact_offsets``.
            For symmetric tensors all equal 2**(bits - 1).
        bits: 4 or 8.
        group_size: columns per group; equals ``columns`` for one group per row. Always divides ``columns``.
        symmetric: zero points are all 2**(bits - 1) and need not be stored.
        exact_offsets: zero points are not whole numbers (carried over from GGUF Q4_1).
    """

    values: torch.Tensor
    scales: torch.Tensor
    zero_points: torch.Tensor
    bits: int
    group_size: int
    symmetric: bool
    exact_offsets: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self.values.shape
        return rows, columns

    def split(self, count: int) -> list[QuantizedTensor]:
        """As many parts with equal numbers of rows."""
        parts = (part.tensor_split(count) for part in (self.values, self.scales, self.zero_points))
        return [
            replace(self, values=values, scales=scales, zero_points=zero_points)
            for values, scales, zero_points in zip(*parts, strict=True)
        ]

    def dequantize(self) -> torch.Tensor:
        """Back to float32 [rows, columns]."""
        import torch

        rows, columns = self.shape
        grouped = self.values.view(rows, -1, self.group_size).to(torch.float32)
        restored = (grouped - self.zero_points[..., None]) * self.scales[..., None]
        return restored.view(rows, columns)
