"""Layouts in which onnxruntime's MatMulNBits and GatherBlockQuantized store quantized matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.compress.tensor import QuantizedTensor


def pack_values(tensor: QuantizedTensor) -> NDArray[np.uint8]:
    """Integers [rows, columns] -> bytes [rows, columns * bits / 8], low nibble first, padded to the block."""
    values: NDArray[np.uint8] = tensor.values.numpy()
    padding = block_size(tensor) * blocks(tensor) - values.shape[1]
    if padding:
        values = np.pad(values, ((0, 0), (0, padding))).astype(np.uint8, copy=False)
    return values if tensor.bits == 8 else _nibbles(values)


def pack_zero_points(tensor: QuantizedTensor) -> NDArray[np.uint8] | NDArray[np.float32] | None:
    """Zero points in the engine's layout, or None when they are the default 2**(bits - 1).

    Whole numbers are packed like the values: [rows, ceil(groups * bits / 8)] bytes.
    Exact offsets carried over from GGUF stay float32 [rows, groups].
    """
    if tensor.symmetric:
        return None
    if tensor.exact_offsets:
        return tensor.zero_points.numpy().astype(np.float32, copy=False)
    whole: NDArray[np.uint8] = tensor.zero_points.numpy().astype(np.uint8)
    if tensor.bits == 8:
        return whole
    return _nibbles(np.pad(whole, ((0, 0), (0, whole.shape[1] % 2))).astype(np.uint8, copy=False))


def blocks(tensor: QuantizedTensor) -> int:
    """Groups per row."""
    return tensor.scales.shape[1]


def block_size(tensor: QuantizedTensor) -> int:
    """The operator's block size: a power of two of at least 16; one group per row is padded up to it."""
    size = 16
    while size < tensor.group_size:
        size *= 2
    return size


def _nibbles(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    packed: NDArray[np.uint8] = np.bitwise_or(values[:, 0::2], values[:, 1::2] << 4)
    return packed
