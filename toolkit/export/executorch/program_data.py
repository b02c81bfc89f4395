"""Parameters in the program's data: read one at a time, quantized, packed, forgotten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from toolkit.artifact import TensorQuantization
from toolkit.compress.floats import stored_floats
from toolkit.compress.parameters import Matrix, Weights, carried_spec, quantized
from toolkit.compress.plan import QuantizationPlan, Role
from toolkit.compress.schemes import SCHEMES, Scheme
from toolkit.compress.tensor import QuantizedTensor
from toolkit.export.executorch.offsets import offset_matrix, with_positive_scales
from toolkit.export.executorch.packing import filter_scales, filter_values
from toolkit.export.executorch.segments import Segments
from toolkit.export.executorch.xnnpack import Filter


@dataclass
class WeightStore:
    """Writes parameters once each and remembers under which keys.

    Attributes:
        tied: parameter that is an alias -> the parameter that the source stores.
        calibrated: matrices that were quantized for their inputs already, by name.
        progress: called with (matrices written so far).
        stored: quantization that each written parameter really got, by name; a tied lm_head under its own.
        roles: the role of each of these.
    """

    weights: Weights
    plan: QuantizationPlan
    segments: Segments
    tied: Mapping[str, str]
    calibrated: Mapping[str, QuantizedTensor]
    progress: Callable[[int], None] = lambda done: None
    stored: dict[str, TensorQuantization] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    _filters: dict[str, Filter] = field(default_factory=dict)
    _shared: dict[str, Filter] = field(default_factory=dict)

    def scheme(self, matrix: Matrix) -> Scheme:
        """The scheme that a matrix is stored and computed with."""
        return SCHEMES.get(self._spec(matrix).scheme)

    def vector(self, name: str, *, offset: float = 0.0) -> NDArray[np.float32]:
        """A bias or norm weight in float32, optionally with a constant added."""
        values: NDArray[np.float32] = self.weights.read(name).numpy() + np.float32(offset)
        return values

    def filter(self, matrix: Matrix) -> Filter:
        """A linear's weight, written when it is first asked for."""
        if matrix.name not in self._filters:
            self._filters[matrix.name] = self._shared.get(matrix.name) or self._new_filter(matrix)
            if matrix.name in self._shared:
                self.written(matrix, self._spec(matrix))
        return self._filters[matrix.name]

    def table(self, matrix: Matrix) -> QuantizedTensor | NDArray[np.float32]:
        """A token table, as integers or floats as its scheme has it; the caller writes it.

        One that :meth:`is_shared` must be written under its name, where the output projection looks for it.
        """
        spec = self._spec(matrix)
        self.written(matrix, spec)
        dynamic = SCHEMES.get(self.plan.lm_head.scheme).dynamic_activation
        if not self.scheme(matrix).quantized:
            values: NDArray[np.float32] = self._floats(matrix)
            if self.is_shared(matrix):
                self._shared[matrix.name] = _float_filter(matrix.name, values)
            return values
        tensor = self._quantized(matrix)
        if self.is_shared(matrix):
            described = self._describe(matrix.name, tensor, dynamic_activation=dynamic)
            # The embedding kernel finds the first of two columns in a byte's high half, XNNPACK in its low.
            self._shared[matrix.name] = replace(described, pairs_swapped=tensor.bits == 4)
        return tensor

    def is_shared(self, matrix: Matrix) -> bool:
        """Whether a token table is also the output projection, with the same integers."""
        tied = matrix.name in self.tied.values()
        return tied and _storage(self.plan.embedding) == _storage(self.plan.lm_head)

    def _new_filter(self, matrix: Matrix) -> Filter:
        spec, scheme = self._spec(matrix), self.scheme(matrix)
        if not scheme.quantized:
            self.written(matrix, spec)
            return self.float_filter(matrix.name, self._floats(matrix))
        tensor = matrix.carried_over(self.weights, self.plan)
        if tensor is None:
            tensor = self._quantized(matrix)
        else:
            spec = carried_spec(tensor, dynamic_activation=scheme.dynamic_activation)
            tensor = with_positive_scales(tensor)
        self.written(matrix, spec)
        return self.quantized_filter(matrix.name, tensor, dynamic_activation=scheme.dynamic_activation)

    def float_filter(self, key: str, values: NDArray[np.float32]) -> Filter:
        """Write a matrix's floats."""
        self.segments.name(key, np.ascontiguousarray(values).tobytes())
        return _float_filter(key, values)

    def quantized_filter(self, key: str, tensor: QuantizedTensor, *, dynamic_activation: bool) -> Filter:
        """Write a matrix's integers, scales and offsets."""
        self.segments.name(key, filter_values(tensor).tobytes())
        return self._describe(key, tensor, dynamic_activation=dynamic_activation)

    def _floats(self, matrix: Matrix) -> NDArray[np.float32]:
        return stored_floats(matrix.read(self.weights), self.scheme(matrix), subject=matrix.name)

    def _quantized(self, matrix: Matrix) -> QuantizedTensor:
        """The integers and scales of a matrix, the same for every engine."""
        tensor = quantized(matrix, self.weights, self._spec(matrix), self.calibrated)
        return tensor if tensor.symmetric else with_positive_scales(tensor)

    def _describe(self, name: str, tensor: QuantizedTensor, *, dynamic_activation: bool) -> Filter:
        """Write a matrix's scales and offsets, and say where all of it is."""
        rows, columns = tensor.shape
        groups = tensor.scales.shape[1] if tensor.scales.shape[1] > 1 else 0
        self.segments.name(f"scale_{name}", filter_scales(tensor, grouped=bool(groups)))
        offsets = None
        if not tensor.symmetric:
            added = offset_matrix(tensor, subject=name)
            self.segments.name(f"{name}.offsets", filter_values(added).tobytes())
            offsets = self._describe(f"{name}.offsets", added, dynamic_activation=dynamic_activation)
        size = rows * columns * tensor.bits // 8
        return Filter(name, size, rows, columns, tensor.bits, groups, dynamic_activation, offsets=offsets)

    def _spec(self, matrix: Matrix) -> TensorQuantization:
        return self.plan.spec_for(matrix.name, matrix.role)

    def written(self, matrix: Matrix, spec: TensorQuantization) -> None:
        """Remember how a matrix was stored."""
        aliases = [alias for alias, stored in self.tied.items() if stored == matrix.name]
        name = aliases[0] if aliases and matrix.role == "lm_head" else matrix.name
        self.stored[name] = spec
        self.roles[name] = matrix.role
        self.progress(len(self.stored))


def _storage(spec: TensorQuantization) -> TensorQuantization:
    """The spec without the activation part, which the stored integers do not depend on."""
    return spec.model_copy(update={"scheme": SCHEMES.get(spec.scheme).weight_only.name})


def _float_filter(key: str, values: NDArray[np.float32]) -> Filter:
    rows, columns = values.shape
    return Filter(key, values.nbytes, rows, columns, 32, 0, False)
