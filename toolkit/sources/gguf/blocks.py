"""Unpack ggml's 32-element blocks into integers, scales and zero points, exactly as stored.

Layouts (ggml-common.h): Q4_0 is ``half d; uint8 qs[16]``, Q4_1 ``half d; half m; uint8 qs[16]``, Q8_0
``half d; int8 qs[32]``. A nibble's low half is element i, its high half element i + 16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from toolkit.compress.tensor import QuantizedTensor

BLOCK_LENGTH = 32
# Bytes of one block.
BLOCK_TYPES = {"Q4_0": 18, "Q4_1": 20, "Q8_0": 34}


def unpack_blocks(raw: NDArray[np.uint8], type_name: str) -> QuantizedTensor:
    """Blocks of one matrix as a QuantizedTensor with group size 32.

    Q4_0 and Q8_0 dequantize to the very same float32 values as in ggml. Q4_1 stores ``q * d + m``, here
    ``(q + m / d) * d``: less than one float32 epsilon (2**-23) of the block's largest
    magnitude apart.

    Args:
        raw: uint8 [rows, blocks * bytes per block].
        type_name: one of BLOCK_TYPES.
    """
    import numpy as np
    import torch

    from toolkit.compress.tensor import QuantizedTensor

    rows = raw.shape[0]
    blocks = raw.reshape(rows, -1, BLOCK_TYPES[type_name])
    scales = _halves(blocks, 0)
    exact_offsets = type_name == "Q4_1"
    if type_name == "Q8_0":
        # int8 -128..127 becomes uint8 0..255 with zero point 128: flip the sign bit.
        values = blocks[:, :, 2:] ^ np.uint8(0x80)
        zero_points = np.full_like(scales, 128)
    elif type_name == "Q4_0":
        values = _nibbles(blocks[:, :, 2:])
        zero_points = np.full_like(scales, 8)
    else:
        values = _nibbles(blocks[:, :, 4:])
        values, scales, zero_points = _offsets_as_zero_points(values, scales, _halves(blocks, 2))
    return QuantizedTensor(
        values=torch.from_numpy(np.ascontiguousarray(values).reshape(rows, -1)),
        scales=torch.from_numpy(scales),
        zero_points=torch.from_numpy(zero_points),
        bits=8 if type_name == "Q8_0" else 4,
        group_size=BLOCK_LENGTH,
        symmetric=not exact_offsets,
        exact_offsets=exact_offsets,
    )


def _halves(blocks: NDArray[np.uint8], start: int) -> NDArray[np.float32]:
    """The half-precision number at a byte offset of every block, as float32 [rows, blocks]."""
    import numpy as np

    halves = np.ascontiguousarray(blocks[:, :, start : start + 2]).view(np.float16)
    return halves[..., 0].astype(np.float32)


def _nibbles(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 [rows, blocks, 16] -> uint8 [rows, blocks, 32] of 0..15."""
    import numpy as np

    return np.concatenate([packed & 0x0F, packed >> 4], axis=-1)


def _offsets_as_zero_points(
    values: NDArray[np.uint8], scales: NDArray[np.float32], offsets: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Turn ``q * d + m`` into ``(q - z) * d``.

    A block of one constant has d = 0 and cannot carry its offset in z * d; it becomes
    ``(0 - -1) * m``, which is m exactly.
    """
    import numpy as np

    constant = scales == 0
    scales = np.where(constant, offsets, scales)
    values = np.where(constant[..., None], np.uint8(0), values)
    zero_points = np.where(constant, np.float32(-1), -offsets / np.where(scales == 0, np.float32(1), scales))
    return values, scales, zero_points.astype(np.float32)
