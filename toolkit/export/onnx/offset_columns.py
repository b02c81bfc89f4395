"""Fractional zero points on kernels that only know whole ones.

GGUF's Q4_1 stores ``scale * q + offset`` per group, which amounts to a zero point between two integers.
onnxruntime's fast kernels take whole zero points only (with float ones it widens the matrix on every call,
150 times slower). Rounding the zero point leaves a constant error per group and row, and a constant times a
group of inputs is that constant times the group's sum. So the errors become further columns of the matrix,
and the sums of the groups further inputs: with G groups per row,

    y = W x = W_rounded x + E s,    s_g = sum of x over group g,    E [rows, G]

The columns are quantized like the rest. They hold at most half a step of their group, so what their own
rounding leaves is a few hundredths of a step.
"""

from __future__ import annotations

import torch

from toolkit.artifact import TensorQuantization
from toolkit.compress.quantize import quantize
from toolkit.compress.tensor import QuantizedTensor


def with_offset_columns(tensor: QuantizedTensor, *, subject: str) -> QuantizedTensor:
    """Whole zero points, and one more column per group for what rounding them left.

    Args:
        tensor: with ``exact_offsets``, [rows, columns] in G groups per row.
        subject: the tensor's name, for messages.

    Returns:
        [rows, columns + G], padded with zero columns up to a whole group.
    """
    rows, columns = tensor.shape
    groups = columns // tensor.group_size
    highest = 2**tensor.bits - 1
    whole = tensor.zero_points.round().clamp(0, highest)
    errors = torch.zeros(rows, -(-groups // tensor.group_size) * tensor.group_size)
    errors[:, :groups] = (whole - tensor.zero_points) * tensor.scales
    spec = TensorQuantization(
        scheme=f"{tensor.bits}w", group_size=tensor.group_size, symmetric=False, algorithm="rtn"
    )
    extra = quantize(errors, spec, subject=subject)
    return QuantizedTensor(
        values=torch.cat([tensor.values, extra.values], dim=1),
        scales=torch.cat([tensor.scales, extra.scales], dim=1),
        zero_points=torch.cat([whole, extra.zero_points], dim=1),
        bits=tensor.bits,
        group_size=tensor.group_size,
        symmetric=False,
    )
