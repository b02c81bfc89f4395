"""Layouts in which XNNPACK and ExecuTorch's embedding kernels store quantized matrices."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from toolkit.compress.tensor import QuantizedTensor


def filter_values(tensor: QuantizedTensor) -> NDArray[np.uint8] | NDArray[np.int8]:
    """A linear's integers: int8 [rows, columns], or two 4-bit ones per byte, the even column low."""
    values: NDArray[np.uint8] = tensor.values.numpy()
    return _signed(values) if tensor.bits == 8 else _nibbles(low=values[:, 0::2], high=values[:, 1::2])


def filter_scales(tensor: QuantizedTensor, *, grouped: bool) -> bytes:
    """A linear's scales: float32 per row, or bfloat16 per group, which is all that XNNPACK takes."""
    if not grouped:
        return tensor.scales.numpy().astype(np.float32).tobytes()
    return tensor.scales.to(torch.bfloat16).view(torch.int16).numpy().tobytes()


def table_values(tensor: QuantizedTensor) -> NDArray[np.uint8] | NDArray[np.int8]:
    """A token table's integers: int8 [rows, columns], or two 4-bit ones per byte, the even column high."""
    values: NDArray[np.uint8] = tensor.values.numpy()
    return _signed(values) if tensor.bits == 8 else _nibbles(low=values[:, 1::2], high=values[:, 0::2])


def table_scales(tensor: QuantizedTensor) -> NDArray[np.float16] | NDArray[np.float32]:
    """A token table's scales [rows, groups], in two bytes each where that is exact."""
    scales: NDArray[np.float32] = tensor.scales.numpy()
    half = scales.astype(np.float16)
    # The kernel would read zero points as the scales' type, and they are float32.
    exact = tensor.symmetric and np.array_equal(half.astype(np.float32), scales)
    return half if exact else scales


def table_zero_points(tensor: QuantizedTensor) -> NDArray[np.float32] | None:
    """A token table's zero points, float32 [rows, groups], for integers counted from -2**(bits - 1)."""
    if tensor.symmetric:
        return None
    middle = np.float32(2 ** (tensor.bits - 1))
    shifted: NDArray[np.float32] = tensor.zero_points.numpy().astype(np.float32) - middle
    return shifted


def _signed(values: NDArray[np.uint8]) -> NDArray[np.int8]:
    # Flipping the top bit subtracts 128.
    signed: NDArray[np.int8] = (values ^ np.uint8(128)).view(np.int8)
    return signed


def _nibbles(*, low: NDArray[np.uint8], high: NDArray[np.uint8]) -> NDArray[np.uint8]:
    packed: NDArray[np.uint8] = np.bitwise_or(low, np.left_shift(high, 4, dtype=np.uint8))
    return packed
