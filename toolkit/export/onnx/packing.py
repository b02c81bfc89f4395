"""Layouts in which onnxruntime's MatMulNBits and GatherBlockQuantized store quantized matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.compress.tensor import QuantizedTensor

# MatMulNBits loads no larger block.
_LARGEST_BLOCK = 256


def block_size(tensor: QuantizedTensor) -> int:
    """The operator's block size: the group size, or the largest that divides it when it is a whole row."""
    if tensor.group_size <= _LARGEST_BLOCK and _is_power_of_two(tensor.group_size):
        return tensor.group_size
    size = _LARGEST_BLOCK
    while size > 16 and tensor.group_size % size:
        size //= 2
    return size


def pack_values(tensor: QuantizedTensor, *, padded: bool = True) -> NDArray[np.uint8]:
    """Integers [rows, columns] -> bytes [rows, columns * bits / 8], low nibble first, padded to the block."""
    values: NDArray[np.uint8] = tensor.values.numpy()
    padding = -values.shape[1] % block_size(tensor) if padded else 0
    if padding:
        values = np.pad(values, ((0, 0), (0, padding))).astype(np.uint8, copy=False)
    return values if tensor.bits == 8 else _nibbles(values)


def pack_scales(tensor: QuantizedTensor) -> NDArray[np.float32] | NDArray[np.float16]:
    """Scales [rows, blocks]: in half precision where that loses nothing, as it does for all of ours."""
    scales = _per_block(tensor, tensor.scales.numpy().astype(np.float32, copy=False))
    half = scales.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), scales) else scales


def pack_zero_points(tensor: QuantizedTensor) -> NDArray[np.uint8] | NDArray[np.float32] | None:
    """Zero points in the engine's layout, or None when they are the default 2**(bits - 1).

    Whole numbers are packed like the values: [rows, ceil(blocks * bits / 8)] bytes.
    Exact offsets carried over from GGUF stay float32 [rows, blocks].
    """
    if tensor.symmetric:
        return None
    zero_points = _per_block(tensor, tensor.zero_points.numpy().astype(np.float32, copy=False))
    if tensor.exact_offsets:
        return zero_points
    whole: NDArray[np.uint8] = zero_points.astype(np.uint8)
    if tensor.bits == 8:
        return whole
    return _nibbles(np.pad(whole, ((0, 0), (0, whole.shape[1] % 2))).astype(np.uint8, copy=False))


def blocks(tensor: QuantizedTensor) -> int:
    """Blocks per row."""
    return -(-tensor.shape[1] // block_size(tensor))


def _per_block(tensor: QuantizedTensor, groups: NDArray[np.float32]) -> NDArray[np.float32]:
    """One number per group -> one per block, repeated where a group spans several blocks."""
    repeats = blocks(tensor) // groups.shape[1]
    return np.repeat(groups, repeats, axis=1) if repeats > 1 else groups


def _is_power_of_two(number: int) -> bool:
    return number >= 16 and number & (number - 1) == 0


def _nibbles(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    packed: NDArray[np.uint8] = np.bitwise_or(values[:, 0::2], values[:, 1::2] << 4)
    return packed
