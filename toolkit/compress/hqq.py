"""Half-quadratic quantization (Badri & Shaji, 2023), kept to whole zero points.

Outliers stretch a group's grid until the many small weights fall on few levels. HQQ therefore minimises
a norm with p < 1 of the error, which forgives a few large errors: it alternates between shrinking the
error (a proximal step that sets aside the outliers) and refitting the grid to the rest by least squares.
"""

from __future__ import annotations

import torch

from toolkit.compress.rtn import extreme_grid, nearest

NORM = 0.7
MAX_ITERATIONS = 12


def half_quadratic(
    groups: torch.Tensor, *, bits: int, symmetric: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Quantize each group; see :class:`toolkit.compress.algorithms.Algorithm`."""
    scales, zero_points = extreme_grid(groups, bits=bits, symmetric=symmetric)
    levels = nearest(groups, scales, zero_points, bits=bits)
    best_error = squared_error(groups, levels, scales, zero_points)
    trial_scales, trial_zeros = scales, zero_points
    for _ in range(MAX_ITERATIONS):
        trial_scales, trial_zeros = _refit(groups, levels, trial_scales, trial_zeros, bits, symmetric)
        levels = nearest(groups, trial_scales, trial_zeros, bits=bits)
        error = squared_error(groups, levels, trial_scales, trial_zeros)
        better = error < best_error
        if not better.any():
            break
        scales = torch.where(better, trial_scales, scales)
        zero_points = torch.where(better, trial_zeros, zero_points)
        best_error = torch.where(better, error, best_error)
    return nearest(groups, scales, zero_points, bits=bits), scales, zero_points


def squared_error(
    groups: torch.Tensor, levels: torch.Tensor, scales: torch.Tensor, zero_points: torch.Tensor
) -> torch.Tensor:
    """Sum of squared errors of each group, float32 [n]."""
    restored = (levels - zero_points[:, None]).mul_(scales[:, None])
    return restored.sub_(groups).square_().sum(dim=1)


def _refit(
    groups: torch.Tensor,
    levels: torch.Tensor,
    scales: torch.Tensor,
    zero_points: torch.Tensor,
    bits: int,
    symmetric: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    if not symmetric:
        zero_points = (levels - groups / scales[:, None]).mean(dim=1).round_().clamp_(0, 2**bits - 1)
    steps = levels - zero_points[:, None]
    energy = steps.square().sum(dim=1)
    fitted = (steps * groups).sum(dim=1) / energy
    usable = (energy > 0) & (fitted.abs() >= torch.finfo(torch.float32).tiny)
    return torch.where(usable, fitted, scales), zero_points
