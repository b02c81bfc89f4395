"""Sizes of a decoder in ONNX Runtime, on the runner's own kernels where they cover it."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit.engines.storage import FLOAT_BYTES, Resident, Storage, StoredMatrix
from toolkit.models.shape import DecoderShape, widest_attention, widest_feed_forward

_LARGEST_BLOCK = 256
_TILE_ROWS = 16
_BLOCK_COLUMNS = 32
# The runner's kernels give mapped pages back each time that so much was packed (weight_memory.cpp).
_RELEASE_BYTES = 16 << 20
# Measured on x86-64 Linux: the runner with the engine's library and an empty session.
_PROCESS_BYTES = 32_000_000


class OnnxRuntimeStorage(Storage):
    """MatMulNBits and GatherBlockQuantized."""

    process_bytes = _PROCESS_BYTES

    def matrix_bytes(self, stored: StoredMatrix) -> int:
        """Rows are padded to whole blocks; scales are half precision, zero points packed like values."""
        if not stored.group_columns:
            return stored.values_bytes
        block = _block(stored)
        blocks = -(-stored.matrix.columns // block)
        values = stored.matrix.rows * blocks * block * stored.bits // 8
        zeros = 0 if stored.symmetric else stored.matrix.rows * -(-blocks * stored.bits // 8)
        return values + stored.matrix.rows * blocks * 2 + zeros

    def graph_bytes(self, shape: DecoderShape, stored: Iterable[StoredMatrix]) -> int:
        """A node and its initializers are some hundred bytes."""
        quantized = any(one.group_columns for one in stored)
        return (6_500 if quantized else 4_000) * (len(shape.layers) + 1)

    def resident(self, shape: DecoderShape, stored: Iterable[StoredMatrix], *, tokens: int) -> Resident:
        """Linears are packed; scales stay beside them, widened; the table is read from the file."""
        held = list(stored)
        packed = pending = peak = 0
        read = 0.0
        scales = {one.matrix.name: self._scales(one) for one in held}
        for one in held:
            if one.matrix.role == "embedding":
                continue
            own = self.packed_bytes(one)
            packed += own
            read += own * one.matrix.used * one.matrix.copies
            pending += self.matrix_bytes(one)
            peak = max(peak, packed + pending)
            if pending >= _RELEASE_BYTES or not one.dynamic_activation:
                pending = 0
        other = shape.other_parameters * FLOAT_BYTES
        floats = any(one.matrix.role == "embedding" and not one.group_columns for one in held)
        table = next((one.values_bytes for one in held if one.matrix.role == "embedding"), 0)
        # A float table that is also multiplied with is packed from pages that stay.
        mapped = table if shape.tied and floats else self.looked_up(held, tokens)
        return Resident(
            mapped_bytes=mapped + other,
            packed_bytes=packed + sum(scales.values()),
            decode_bytes=round(read) + other,
            transient_bytes=max(0, peak - packed),
        )

    def packed_bytes(self, stored: StoredMatrix) -> int:
        """As kernels read it: tiles of 16 rows, with a scale and perhaps an offset per row and group."""
        if not stored.group_columns:
            return stored.matrix.elements * FLOAT_BYTES
        block = _block(stored)
        tiles = -(-stored.matrix.rows // _TILE_ROWS)
        groups = -(-stored.matrix.columns // block)
        step = min(block, _BLOCK_COLUMNS)
        columns = -(-stored.matrix.columns // step) * step
        head = (1 if stored.symmetric else 2) * _TILE_ROWS * FLOAT_BYTES
        return tiles * (groups * head + _TILE_ROWS * columns * stored.bits // 8)

    def compute_bytes(self, shape: DecoderShape, *, tokens: int, context: int) -> int:
        """The widest part of a layer, every result of which is a tensor of its own."""
        inner = widest_feed_forward(shape.layers)
        width, gated = inner or (4 * shape.hidden_size, False)
        feed_forward = (6 if gated else 3) * width
        attention = 2 * widest_attention(shape.layers)
        row = 2 * shape.hidden_size + max(feed_forward, attention)
        return tokens * row * FLOAT_BYTES + shape.vocabulary * FLOAT_BYTES

    def _scales(self, stored: StoredMatrix) -> int:
        if not stored.group_columns:
            return 0
        return stored.matrix.rows * -(-stored.matrix.columns // _block(stored)) * FLOAT_BYTES


def _block(stored: StoredMatrix) -> int:
    size = stored.group_columns
    if size <= _LARGEST_BLOCK and size >= 16 and size & (size - 1) == 0:
        return size
    block = _LARGEST_BLOCK
    while block > 16 and size % block:
        block //= 2
    return block


STORAGE = OnnxRuntimeStorage()
