"""How an engine stores a decoder in a file and holds it in memory, as sizes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from toolkit.models.shape import DecoderShape, MatrixShape

FLOAT_BYTES = 4
# Kernels map a file's neighbouring pages along with the one that was asked for.
_FAULT_AROUND_BYTES = 16 * 4096


@dataclass(frozen=True)
class StoredMatrix:
    """A matrix with its quantization.

    Attributes:
        matrix: which, and in which role.
        bits: of one weight.
        group_columns: columns that share a scale; 0 for floats.
        symmetric: no zero points.
        dynamic_activation: multiplied as integers.
    """

    matrix: MatrixShape
    bits: int
    group_columns: int
    symmetric: bool
    dynamic_activation: bool

    @property
    def groups(self) -> int:
        """Scales."""
        if not self.group_columns:
            return 0
        return self.matrix.rows * -(-self.matrix.columns // self.group_columns)

    @property
    def values_bytes(self) -> int:
        """The weights alone."""
        return self.matrix.elements * self.bits // 8


@dataclass(frozen=True)
class Resident:
    """What a loaded decoder takes.

    Attributes:
        mapped_bytes: weights that are read where the file is mapped.
        packed_bytes: weights in the order in which kernels read them.
        decode_bytes: of both, what one decode step reads.
        transient_bytes: at most beside these while loading.
    """

    mapped_bytes: int
    packed_bytes: int
    decode_bytes: int
    transient_bytes: int


class Storage:
    """The plain way: values, scales of two bytes, whole zero points; multiplied where they are mapped.

    An engine overrides what it does otherwise.

    Attributes:
        process_bytes: the runner and its engine without a model.
    """

    process_bytes = 30_000_000

    def matrix_bytes(self, stored: StoredMatrix) -> int:
        """In the file."""
        zeros = 0 if stored.symmetric else -(-stored.groups * min(stored.bits, 8) // 8)
        return stored.values_bytes + 2 * stored.groups + zeros

    def tables_bytes(self, shape: DecoderShape, context: int) -> int:
        """Tables of rotations: cosines and sines, half a head wide."""
        return sum(context * dim * FLOAT_BYTES for dim in shape.rotary_dims)

    def graph_bytes(self, shape: DecoderShape, stored: Iterable[StoredMatrix]) -> int:
        """What describes the operators."""
        return 6_000 * (len(shape.layers) + 1)

    def weights_bytes(self, shape: DecoderShape, stored: Iterable[StoredMatrix]) -> int:
        """All parameters in the file, tied ones once."""
        unique = {one.matrix.name: self.matrix_bytes(one) for one in stored}
        return sum(unique.values()) + shape.other_parameters * FLOAT_BYTES

    def resident(self, shape: DecoderShape, stored: Iterable[StoredMatrix], *, tokens: int) -> Resident:
        """Once loaded, and after so many tokens were looked up."""
        held = list(stored)
        linears = sum(self.matrix_bytes(one) for one in held if one.matrix.role != "embedding")
        read = sum(
            self.matrix_bytes(one) * one.matrix.used * one.matrix.copies
            for one in held
            if one.matrix.role != "embedding"
        )
        rows = 0 if shape.tied else self.looked_up(held, tokens)
        other = shape.other_parameters * FLOAT_BYTES
        return Resident(linears + rows + other, 0, round(read) + other, 0)

    def compute_bytes(self, shape: DecoderShape, *, tokens: int, context: int) -> int:
        """Activations of a call with so many tokens."""
        return tokens * FLOAT_BYTES * 6 * shape.hidden_size + shape.vocabulary * FLOAT_BYTES

    def looked_up(self, stored: Iterable[StoredMatrix], tokens: int) -> int:
        """Bytes of a mapped token table that are in memory after so many different tokens were looked up."""
        table = next((one for one in stored if one.matrix.role == "embedding"), None)
        return 0 if table is None else touched_bytes(table.values_bytes, tokens)


def touched_bytes(size: int, look_ups: int) -> int:
    """Bytes of a mapped file in memory after look-ups at random places, neighbours included."""
    windows = max(1.0, size / _FAULT_AROUND_BYTES)
    return round(size * (1 - (1 - 1 / windows) ** look_ups)) if windows > 1 else size
