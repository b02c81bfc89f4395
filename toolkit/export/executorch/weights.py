"""Parameters in the program's data: read one at a time, quantized, packed, forgotten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from executorch.exir._serialize._named_data_store import NamedDataStore
from numpy.typing import NDArray

from toolkit.artifact import TensorQuantization
from toolkit.compress.algorithms import quantize
from toolkit.compress.plan import QuantizationPlan, Role
from toolkit.compress.schemes import SCHEMES, Scheme
from toolkit.compress.tensor import QuantizedTensor
from toolkit.export.executorch.packing import filter_scales, filter_values
from toolkit.export.executorch.xnnpack import Filter
from toolkit.export.onnx.weights import Matrix, Weights

if TYPE_CHECKING:
    import torch

_ALIGNMENT = 16


@dataclass
class WeightStore:
    """Writes parameters once each and remembers under which keys.

    A tied vocabulary is quantized once and written twice: XNNPACK and the embedding kernels differ in layout.

    Attributes:
        tied: parameter that is an alias -> the parameter that the source stores.
        progress: called with (matrices written so far).
        stored: quantization that each written parameter really got, by name; a tied lm_head under its own.
        roles: the role of each of these.
    """

    weights: Weights
    plan: QuantizationPlan
    data: NamedDataStore
    tied: Mapping[str, str]
    progress: Callable[[int], None] = lambda done: None
    stored: dict[str, TensorQuantization] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    _filters: dict[str, Filter] = field(default_factory=dict)
    _shared: dict[tuple[str, TensorQuantization], QuantizedTensor] = field(default_factory=dict)

    def scheme(self, matrix: Matrix) -> Scheme:
        """The scheme that a matrix is stored and computed with."""
        return SCHEMES.get(self.plan.spec_for(matrix.name, matrix.role).scheme)

    def vector(self, name: str, *, offset: float = 0.0) -> NDArray[np.float32]:
        """A bias or norm weight in float32, optionally with a constant added."""
        values: NDArray[np.float32] = self.weights.read(name).numpy() + np.float32(offset)
        return values

    def filter(self, matrix: Matrix) -> Filter:
        """A linear's weight, written when it is first asked for."""
        if matrix.name not in self._filters:
            scheme = self.scheme(matrix)
            self._filters[matrix.name] = (
                self._quantized_filter(matrix, scheme) if scheme.quantized else self._float_filter(matrix)
            )
        return self._filters[matrix.name]

    def table(self, matrix: Matrix) -> QuantizedTensor | NDArray[np.float32]:
        """A token table, as integers or floats as its scheme has it."""
        if self.scheme(matrix).quantized:
            return self.quantize(matrix)
        self._written(matrix, self.plan.spec_for(matrix.name, matrix.role))
        values: NDArray[np.float32] = self._read(matrix).numpy()
        return values

    def quantize(self, matrix: Matrix) -> QuantizedTensor:
        """The integers and scales of a matrix, the same for every engine."""
        spec = self.plan.spec_for(matrix.name, matrix.role)
        storage = spec.model_copy(update={"scheme": spec.scheme.removeprefix("8da")})
        tensor = self._shared.pop((matrix.name, storage), None)
        if tensor is None:
            tensor = quantize(self._read(matrix), spec, subject=matrix.name)
            if matrix.name in self.tied.values():
                self._shared[matrix.name, storage] = tensor
        self._written(matrix, spec)
        return tensor

    def _quantized_filter(self, matrix: Matrix, scheme: Scheme) -> Filter:
        tensor = self.quantize(matrix)
        rows, columns = tensor.shape
        groups = tensor.scales.shape[1] if tensor.scales.shape[1] > 1 else 0
        values = filter_values(tensor)
        self.data.add_named_data(matrix.name, values.tobytes(), _ALIGNMENT)
        scales = filter_scales(tensor, grouped=bool(groups))
        self.data.add_named_data(f"scale_{matrix.name}", scales, _ALIGNMENT)
        return Filter(
            matrix.name, values.nbytes, rows, columns, tensor.bits, groups, scheme.dynamic_activation
        )

    def _float_filter(self, matrix: Matrix) -> Filter:
        values = np.ascontiguousarray(self._read(matrix).numpy())
        self.data.add_named_data(matrix.name, values.tobytes(), _ALIGNMENT)
        self._written(matrix, self.plan.spec_for(matrix.name, matrix.role))
        rows, columns = values.shape
        return Filter(matrix.name, values.nbytes, rows, columns, 32, 0, False)

    def _read(self, matrix: Matrix) -> torch.Tensor:
        weight = self.weights.read(matrix.name)
        return weight.t().contiguous() if matrix.transposed else weight

    def _written(self, matrix: Matrix, spec: TensorQuantization) -> None:
        aliases = [alias for alias, stored in self.tied.items() if stored == matrix.name]
        name = aliases[0] if aliases and matrix.role == "lm_head" else matrix.name
        self.stored[name] = spec
        self.roles[name] = matrix.role
        self.progress(len(self.stored))
