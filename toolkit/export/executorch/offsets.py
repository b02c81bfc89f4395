"""Asymmetric groups on kernels that know symmetric ones only.

XNNPACK multiplies 4-bit groups as ``(integer - 8) * scale`` with a scale above zero. A zero point z elsewhere
adds ``(8 - z) * scale`` to each weight of its group, and a constant times a group of inputs is that constant
times the group's sum. So, with G groups per row,

    y = W x = W_symmetric x + E s,    s_g = sum of x over group g,    E [rows, G]

E is a linear of its own, in 8 bits: a sixteenth of the bytes at groups of 32. Its values are a few steps
large, so what its own rounding leaves is a few hundredths of a step.
"""

from __future__ import annotations

import torch

from toolkit.artifact import TensorQuantization
from toolkit.compress.quantize import quantize
from toolkit.compress.tensor import QuantizedTensor


def with_positive_scales(tensor: QuantizedTensor) -> QuantizedTensor:
    """The same matrix, every scale above zero; zero points may lie anywhere.

    A negative scale turns around by counting levels from the other end. A group with one level only, whose
    scale may be zero, rests on the middle, so that its offset is no larger than its weights.
    """
    half, highest = 2 ** (tensor.bits - 1), 2**tensor.bits - 1
    groups = tensor.values.view(tensor.shape[0], -1, tensor.group_size)
    negative = tensor.scales < 0
    groups = torch.where(negative[..., None], highest - groups, groups)
    zero_points = torch.where(negative, highest - tensor.zero_points, tensor.zero_points)
    scales = tensor.scales.abs()
    level = groups[..., 0]
    usable = scales >= torch.finfo(torch.float32).tiny
    flat = (groups == level[..., None]).all(dim=2) | ~usable
    constant = (level - zero_points) * scales
    scales = torch.where(usable, scales, 1.0)
    return QuantizedTensor(
        values=torch.where(flat[..., None], half, groups).view(tensor.shape).to(torch.uint8),
        scales=scales,
        zero_points=torch.where(flat, half - constant / scales, zero_points),
        bits=tensor.bits,
        group_size=tensor.group_size,
        symmetric=False,
        exact_offsets=True,
    )


def offset_matrix(tensor: QuantizedTensor, *, subject: str) -> QuantizedTensor:
    """What the zero points add to each weight of their group, 8 bits per row, [rows, groups]."""
    offsets = (2 ** (tensor.bits - 1) - tensor.zero_points) * tensor.scales
    spec = TensorQuantization(
        scheme="8w", group_size=0, symmetric=True, algorithm="rtn", positive_scales=True
    )
    return quantize(offsets, spec, subject=subject)
