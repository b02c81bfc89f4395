"""Round to nearest: the scale follows from each group's extremes alone."""

from __future__ import annotations

import torch


def round_to_nearest(
    groups: torch.Tensor, *, bits: int, symmetric: bool, positive: bool = False
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Quantize each group by its extremes; see :class:`toolkit.compress.algorithms.Algorithm`."""
    scales, zero_points = extreme_grid(groups, bits=bits, symmetric=symmetric, positive=positive)
    return nearest(groups, scales, zero_points, bits=bits), scales, zero_points


def extreme_grid(
    groups: torch.Tensor, *, bits: int, symmetric: bool, positive: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scales and zero points, float32 [n], that just span each group.

    Symmetric grids have one level more below zero than above it. The scale takes the sign that puts the
    group's largest magnitude on that level, as GGUF's Q4_0 and engines' own quantizers do; scales of
    symmetric groups can therefore be negative. ``positive`` gives that up: the grid spans both extremes.
    """
    low, high = torch.aminmax(groups, dim=0)
    if symmetric:
        half = 2 ** (bits - 1)
        if positive:
            scales = torch.maximum(high / (half - 1), low / -half)
        else:
            scales = torch.where(high > -low, high, low) / -half
        zero_points = torch.full_like(scales, half)
    else:
        low, high = low.clamp_(max=0), high.clamp_(min=0)
        scales = (high - low) / (2**bits - 1)
        zero_points = (low / _without_zeros(scales)).neg_().round_().clamp_(0, 2**bits - 1)
    return _without_zeros(scales), zero_points


def nearest(
    groups: torch.Tensor, scales: torch.Tensor, zero_points: torch.Tensor, *, bits: int
) -> torch.Tensor:
    """The nearest level for every weight, float32 [group_size, n] within 0 .. 2**bits - 1."""
    levels = (groups / scales).add_(zero_points)
    return levels.round_().clamp_(0, 2**bits - 1)


def _without_zeros(scales: torch.Tensor) -> torch.Tensor:
    # Groups of zeros (padding, pruned heads) and of subnormals: any scale does, and 1 divides safely.
    return torch.where(scales.abs() < torch.finfo(torch.float32).tiny, 1.0, scales)
