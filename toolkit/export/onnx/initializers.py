"""Parameters as initializers: read one at a time, quantized, packed, written, forgotten."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from toolkit.artifact import TensorQuantization
from toolkit.compress.experts import ExpertMatrices
from toolkit.compress.floats import stored_floats
from toolkit.compress.parameters import Matrix, Weights, carried_spec, quantized
from toolkit.compress.plan import QuantizationPlan, Role
from toolkit.compress.schemes import SCHEMES, Scheme
from toolkit.compress.tensor import QuantizedTensor
from toolkit.errors import UnsupportedModel
from toolkit.export.onnx.builder import FLOAT, GraphBuilder
from toolkit.export.onnx.offset_columns import with_offset_columns
from toolkit.export.onnx.packing import block_size, blocks, pack_scales, pack_values, pack_zero_points


@dataclass(frozen=True)
class StoredMatrix:
    """Names and geometry of the initializers that hold one matrix, or several stacked along their rows.

    ``columns`` counts the inputs; the last ``group_sums`` of them are sums of groups of the others, see
    offset_columns.py.
    """

    members: tuple[str, ...]
    values: str
    scales: str
    zero_points: str
    bits: int
    block_size: int
    blocks: int
    rows: int
    columns: int
    group_sums: int


@dataclass
class WeightStore:
    """Writes parameters once each and remembers under which names.

    Attributes:
        calibrated: matrices that were quantized for their inputs already, by name.
        progress: called with (matrices written so far).
        stored: quantization that each written parameter really got, by name.
        roles: the role each was first written in.
    """

    weights: Weights
    plan: QuantizationPlan
    builder: GraphBuilder
    calibrated: Mapping[str, QuantizedTensor]
    progress: Callable[[int], None] = lambda done: None
    stored: dict[str, TensorQuantization] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    _runs: dict[tuple[str, ...], list[StoredMatrix]] = field(default_factory=dict)
    _floats: dict[str, str] = field(default_factory=dict)

    def spec(self, matrix: Matrix) -> TensorQuantization:
        """How a matrix is stored, as the plan has it."""
        return self.plan.spec_for(matrix.name, matrix.role)

    def scheme(self, matrix: Matrix) -> Scheme:
        """The scheme that a matrix is stored and computed with."""
        return SCHEMES.get(self.spec(matrix).scheme)

    def vector(self, name: str, *, offset: float = 0.0, part: slice = slice(None)) -> str:
        """A bias or norm weight in float32, optionally with a constant added or cut out of a longer one."""
        stem = name if not offset else f"{name}+{offset:g}"
        stem = stem if part == slice(None) else f"{stem}[{part.start}:{part.stop}]"
        if stem not in self._floats:
            whole = self.weights.read(name).numpy()
            array = (whole if part == slice(None) else whole[part]) + np.float32(offset)
            self._floats[stem] = self.builder.data.add(stem, [array.astype(np.float32)], array.shape)
        return self._floats[stem]

    def rows(self, name: str, places: NDArray[np.int64]) -> str:
        """Rows of a table in another order, in float32."""
        if (stem := f"{name}@positions") not in self._floats:
            table = self.weights.read(name).numpy()
            if int(places.max()) >= len(table):
                raise UnsupportedModel(
                    f"{name} has {len(table)} rows, the context needs {int(places.max()) + 1}"
                )
            array = np.ascontiguousarray(table[places])
            self._floats[stem] = self.builder.data.add(stem, [array], array.shape)
        return self._floats[stem]

    def joined_vectors(self, names: Sequence[str]) -> str:
        """Several biases one after the other, for a merged linear."""
        stem = "+".join(names)
        if stem not in self._floats:
            arrays = [self.weights.read(name).numpy() for name in names]
            size = sum(array.size for array in arrays)
            self._floats[stem] = self.builder.data.add(stem, arrays, (size,))
        return self._floats[stem]

    def float_matrix(self, matrix: Matrix) -> str:
        """An unquantized matrix [out, in] as a float32 value; fp16 is widened in the graph."""
        if matrix.name in self._floats:
            return self._floats[matrix.name]
        scheme = self.scheme(matrix)
        array = stored_floats(matrix.read(self.weights), scheme, subject=matrix.name)
        name = self.builder.data.add(matrix.name, [array], array.shape)
        if scheme.float_dtype == "float16":
            name = self.builder.node("Cast", [name], to=FLOAT, hint=matrix.name)[0]
        self.written(matrix.name, self.spec(matrix), matrix.role)
        self._floats[matrix.name] = name
        return name

    def quantized(self, matrices: Sequence[Matrix]) -> list[StoredMatrix]:
        """Matrices that share an input, stacked along their rows where their geometry allows it.

        Returns:
            What consecutive matrices became, in order.
        """
        key = tuple(matrix.name for matrix in matrices)
        if key not in self._runs:
            items = [self._quantize(matrix) for matrix in matrices]
            runs = [list(group) for _, group in groupby(items, key=lambda item: item.geometry)]
            self._runs[key] = [self._write(run) for run in runs]
        return self._runs[key]

    def experts(self, matrices: ExpertMatrices) -> list[StoredMatrix | str]:
        """Each expert's matrix by itself; the name of a float32 value where it is not quantized."""
        spec, name = matrices.spec(self.plan), matrices.name
        scheme = SCHEMES.get(spec.scheme)
        self.written(name, spec, "linear")
        if not scheme.quantized:
            arrays = stored_floats(matrices.read(self.weights), scheme, subject=name)
            stored = [
                self.builder.data.add(f"{name}.{index}", [array], array.shape)
                for index, array in enumerate(arrays)
            ]
            if scheme.float_dtype != "float16":
                return [*stored]
            return [self.builder.node("Cast", [one], to=FLOAT, hint=name)[0] for one in stored]
        count = self.weights.read(name).shape[0]
        tensors = matrices.quantized(self.weights, spec).split(count)
        dynamic = scheme.dynamic_activation
        return [
            self._write([_Quantized(f"{name}.{index}", tensor, 0, dynamic)])
            for index, tensor in enumerate(tensors)
        ]

    def table(self, stored: StoredMatrix) -> StoredMatrix:
        """The same bytes as a 2-D table for GatherBlockQuantized."""
        width = stored.blocks * stored.block_size * stored.bits // 8
        name = f"{stored.values}#table"
        self.builder.data.alias(name, stored.values, (stored.rows, width))
        return replace(stored, values=name)

    def _quantize(self, matrix: Matrix) -> _Quantized:
        spec = self.spec(matrix)
        dynamic = self.scheme(matrix).dynamic_activation
        tensor = matrix.carried_over(self.weights, self.plan)
        group_sums = 0
        if tensor is None:
            tensor = quantized(matrix, self.weights, spec, self.calibrated)
        else:
            spec = carried_spec(tensor, dynamic_activation=dynamic)
            if tensor.exact_offsets and self.plan.carry_over == "linears":
                group_sums = tensor.scales.shape[1]
                tensor = with_offset_columns(tensor, subject=matrix.name)
        self.written(matrix.name, spec, matrix.role)
        return _Quantized(matrix.name, tensor, group_sums, dynamic)

    def written(self, name: str, spec: TensorQuantization, role: Role) -> None:
        """Remember how a parameter was stored."""
        self.stored[name] = spec
        self.roles[name] = role
        self.progress(len(self.stored))

    def _write(self, run: Sequence[_Quantized]) -> StoredMatrix:
        names, tensors = [item.name for item in run], [item.tensor for item in run]
        stem, first = "+".join(names), tensors[0]
        size, count = block_size(first), blocks(first)
        rows = sum(tensor.shape[0] for tensor in tensors)
        data = self.builder.data
        values = [pack_values(tensor) for tensor in tensors]
        data.add(f"{stem}.values", values, (rows, count, size * first.bits // 8))
        offsets = [packed for packed in map(pack_zero_points, tensors) if packed is not None]
        if offsets:
            data.add(f"{stem}.zero_points", offsets, (rows, offsets[0].shape[1]))
        return StoredMatrix(
            members=tuple(names),
            values=f"{stem}.values",
            scales=self._write_scales(f"{stem}.scales", tensors, (rows, count)),
            zero_points=f"{stem}.zero_points" if offsets else "",
            bits=first.bits,
            block_size=size,
            blocks=count,
            rows=rows,
            columns=run[0].inputs,
            group_sums=run[0].group_sums,
        )

    def _write_scales(self, name: str, tensors: Sequence[QuantizedTensor], shape: tuple[int, int]) -> str:
        """Scales in two bytes each where that is exact; the engine widens them once, when it loads."""
        scales = [pack_scales(tensor) for tensor in tensors]
        if any(part.dtype != np.float16 for part in scales):
            return self.builder.data.add(name, [part.astype(np.float32) for part in scales], shape)
        stored = self.builder.data.add(f"{name}.half", scales, shape)
        return self.builder.node("Cast", [stored], outputs=[name], to=FLOAT)[0]


@dataclass(frozen=True)
class _Quantized:
    """One matrix on its way to the file.

    Attributes:
        group_sums: columns at the end that belong to sums of the other inputs.
        dynamic: activations are quantized to int8.
    """

    name: str
    tensor: QuantizedTensor
    group_sums: int
    dynamic: bool

    @property
    def inputs(self) -> int:
        """Columns that have an input; what follows is padding."""
        if not self.group_sums:
            return self.tensor.shape[1]
        return self.group_sums * self.tensor.group_size + self.group_sums

    @property
    def geometry(self) -> tuple[object, ...]:
        """What matrices must share to be rows of one stored matrix."""
        tensor = self.tensor
        facts = (tensor.bits, tensor.group_size, tensor.symmetric, tensor.exact_offsets)
        return (*facts, self.group_sums, self.dynamic)
