"""GPTQ: round one column at a time, and let the columns that follow make up for what it lost.

After Frantar et al., 2022. With H = X^T X over the inputs X of a linear, the error that rounding column i
makes in the outputs is smallest when the other columns move by that error times a row of the inverse of H.
Columns with the largest inputs go first, while there is most left to make up with; grids are those of the
weights as they were, so that columns of one group may be far apart in that order.
"""

from __future__ import annotations

import torch

from toolkit.artifact import TensorQuantization
from toolkit.compress.groups import columns_per_group
from toolkit.compress.hqq import half_quadratic
from toolkit.compress.quantize import in_half_precision, in_parallel
from toolkit.compress.schemes import SCHEMES
from toolkit.compress.tensor import QuantizedTensor
from toolkit.errors import CompressError

# Added to H's diagonal, as a fraction of its mean: few tokens leave H all but singular.
DAMPING = 0.01
# Columns whose corrections are added up before they reach the rest of the matrix.
_BLOCK = 128
# Rows handled at once: rows do not depend on each other, and a block of this many stays in a core's cache.
_ROWS = 512


def gptq(
    weight: torch.Tensor, hessian: torch.Tensor, spec: TensorQuantization, *, subject: str
) -> QuantizedTensor:
    """Quantize one matrix for the inputs that it sees.

    Args:
        weight: float32 [rows, columns].
        hessian: float32 [columns, columns], the inputs' second moments; any scale.
        spec: scheme, group size and symmetry.
        subject: the tensor's name, for messages.

    Raises:
        BadGroupSize: the group size does not divide the columns.
        CompressError: weights or second moments hold NaN or infinity.
    """
    rows, columns = weight.shape
    bits = SCHEMES.get(spec.scheme).weight_bits
    group_size = columns_per_group(spec.group_size, columns, subject=subject)
    if not (torch.isfinite(weight).all() and torch.isfinite(hessian).all()):
        raise CompressError(
            "The weights or their inputs hold NaN or infinity.",
            subject=subject,
            next_step="Choose --algorithm hqq, or give another --calibration text.",
        )
    order = torch.argsort(hessian.diagonal(), descending=True)
    factor = _inverse_factor(hessian[order][:, order], subject)
    quantized = QuantizedTensor(
        values=torch.empty(rows, columns, dtype=torch.uint8),
        scales=torch.empty(rows, columns // group_size),
        zero_points=torch.empty(rows, columns // group_size),
        bits=bits,
        group_size=group_size,
        symmetric=spec.symmetric,
    )

    def fill(chunk: slice) -> None:
        # One row of memory per column of the matrix: rounding and correcting walk along it.
        remaining = weight[chunk].t().contiguous()
        scales, zero_points = _grids(remaining, group_size, bits, spec)
        groups = order // group_size
        levels = torch.empty(remaining.shape, dtype=torch.uint8)
        levels[order] = _round_in_order(remaining[order], factor, scales[groups], zero_points[groups], bits)
        quantized.values[chunk] = levels.t()
        quantized.scales[chunk], quantized.zero_points[chunk] = scales.t(), zero_points.t()

    in_parallel(fill, [slice(first, min(first + _ROWS, rows)) for first in range(0, rows, _ROWS)])
    return quantized


def _grids(
    columns: torch.Tensor, group_size: int, bits: int, spec: TensorQuantization
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scales and zero points [groups, rows] of a matrix given as [columns, rows]."""
    scales, zero_points = [], []
    for group in torch.split(columns, group_size):
        _, scale, zero_point = half_quadratic(
            group, bits=bits, symmetric=spec.symmetric, positive=spec.positive_scales
        )
        scales.append(in_half_precision(scale))
        zero_points.append(zero_point)
    return torch.stack(scales), torch.stack(zero_points)


def _inverse_factor(hessian: torch.Tensor, subject: str) -> torch.Tensor:
    """Upper Cholesky factor of the damped inverse: row i holds how later columns make up for column i."""
    diagonal = hessian.diagonal()
    mean = diagonal.mean()
    # An input that is always zero says nothing; any positive number keeps its column out of the others.
    damping = torch.where(diagonal == 0, mean.clamp(min=1e-8), 0.0) + DAMPING * mean
    damped = (hessian + torch.diag(damping)).to(torch.float64)
    factor, failed = torch.linalg.cholesky_ex(damped)
    if failed:
        raise CompressError(
            "The inputs' second moments cannot be inverted.",
            subject=subject,
            next_step="Give a longer --calibration text, or choose --algorithm hqq.",
        )
    inverse = torch.cholesky_inverse(factor)
    upper: torch.Tensor = torch.linalg.cholesky(inverse, upper=True)
    return upper.to(torch.float32)


def _round_in_order(
    remaining: torch.Tensor,
    factor: torch.Tensor,
    scales: torch.Tensor,
    zero_points: torch.Tensor,
    bits: int,
) -> torch.Tensor:
    """Levels, uint8 [columns, rows]; ``remaining`` is overwritten."""
    levels = torch.empty(remaining.shape, dtype=torch.uint8)
    for start in range(0, len(remaining), _BLOCK):
        block = slice(start, min(start + _BLOCK, len(remaining)))
        current, errors = remaining[block], torch.empty_like(remaining[block])
        within = factor[block, block]
        for index in range(len(current)):
            column = start + index
            level = (current[index] / scales[column]).add_(zero_points[column])
            level = level.round_().clamp_(0, 2**bits - 1)
            levels[column] = level.to(torch.uint8)
            restored = level.sub_(zero_points[column]).mul_(scales[column])
            errors[index] = (current[index] - restored) / within[index, index]
            current[index + 1 :].addr_(within[index, index + 1 :], errors[index], alpha=-1)
        remaining[block.stop :].addmm_(factor[block, block.stop :].t(), errors, alpha=-1)
    return levels
