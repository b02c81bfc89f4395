"""Sizes of a decoder in ExecuTorch with XNNPACK, on the runner's own kernels where they cover it."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit.engines.storage import FLOAT_BYTES, Resident, Storage, StoredMatrix
from toolkit.models.layers import attention_of
from toolkit.models.shape import DecoderShape, widest_attention

_TILE_ROWS = 16
_BLOCK_COLUMNS = 32
# As lowered (export/executorch): tokens of one call, and results of the mask's delegate that live at once.
_LONGEST_CALL = 512
_MASK_STEPS = 3
# Measured on x86-64 Linux: the runner with its libraries and no model.
_PROCESS_BYTES = 11_000_000


class ExecutorchStorage(Storage):
    """XNNPACK's linears and ExecuTorch's embedding kernels."""

    process_bytes = _PROCESS_BYTES

    def matrix_bytes(self, stored: StoredMatrix) -> int:
        """Scales are bfloat16 per group or float32 per row; zero points are a matrix of their own."""
        if not stored.group_columns:
            return stored.matrix.elements * FLOAT_BYTES
        per_row = stored.groups // stored.matrix.rows
        if stored.matrix.role == "embedding":
            return stored.values_bytes + stored.groups * (2 if stored.symmetric else 2 * FLOAT_BYTES)
        scales = stored.groups * (2 if per_row > 1 else FLOAT_BYTES)
        offsets = 0 if stored.symmetric else stored.groups + stored.matrix.rows * FLOAT_BYTES
        return stored.values_bytes + scales + offsets

    def weights_bytes(self, shape: DecoderShape, stored: Iterable[StoredMatrix]) -> int:
        """A tied vocabulary's integers are there once, its scales in the form of each of both kernels."""
        held = list(stored)
        total = sum(self.matrix_bytes(one) for one in held) + shape.other_parameters * FLOAT_BYTES
        if not shape.tied:
            return total
        table, head = (
            next((one for one in held if one.matrix.role == role), None) for role in ("embedding", "lm_head")
        )
        shared = table is not None and head is not None and table.bits == head.bits
        return total - table.values_bytes if shared and table is not None else total

    def tables_bytes(self, shape: DecoderShape, context: int) -> int:
        """Both halves of each, cosines and sines."""
        return sum(2 * context * dim * FLOAT_BYTES for dim in shape.rotary_dims)

    def graph_bytes(self, shape: DecoderShape, stored: Iterable[StoredMatrix]) -> int:
        """Instructions and the delegates' own graphs."""
        return 12_000 * (len(shape.layers) + 1)

    def resident(self, shape: DecoderShape, stored: Iterable[StoredMatrix], *, tokens: int) -> Resident:
        """Linears are packed; the table is read from the file."""
        held = list(stored)
        linears = [one for one in held if one.matrix.role != "embedding"]
        packed = sum(self.packed_bytes(one) for one in linears)
        read = sum(self.packed_bytes(one) * one.matrix.used * one.matrix.copies for one in linears)
        other = shape.other_parameters * FLOAT_BYTES
        largest = max((self.matrix_bytes(one) for one in linears), default=0)
        return Resident(
            mapped_bytes=self.looked_up(held, tokens) + other,
            packed_bytes=packed,
            decode_bytes=round(read) + other,
            transient_bytes=largest,
        )

    def packed_bytes(self, stored: StoredMatrix) -> int:
        """As kernels read it: tiles of 16 rows, with a scale per row and group."""
        if not stored.group_columns:
            return stored.matrix.elements * FLOAT_BYTES
        tiles = -(-stored.matrix.rows // _TILE_ROWS)
        groups = -(-stored.matrix.columns // stored.group_columns)
        columns = -(-stored.matrix.columns // _BLOCK_COLUMNS) * _BLOCK_COLUMNS
        offsets = 0 if stored.symmetric else tiles * _TILE_ROWS * (groups + FLOAT_BYTES)
        return tiles * _TILE_ROWS * (groups * FLOAT_BYTES + columns * stored.bits // 8) + offsets

    def compute_bytes(self, shape: DecoderShape, *, tokens: int, context: int) -> int:
        """What delegates hand on; within one, rows go through in blocks."""
        row = 2 * shape.hidden_size + 2 * widest_attention(shape.layers)
        windows = {one.window for one in attention_of(shape.layers) if one.window is not None}
        if any(window < context for window in windows):
            # The mask of the positions that are seen, and XNNPACK's steps on the way to it, at their largest.
            row += context
            masks = _MASK_STEPS * min(_LONGEST_CALL, context) * context * FLOAT_BYTES
        else:
            masks = 0
        return tokens * row * FLOAT_BYTES + shape.vocabulary * FLOAT_BYTES + masks


STORAGE = ExecutorchStorage()
