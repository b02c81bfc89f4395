"""Matrices of experts [experts, out, in] as filters of XNNPACK, one for each expert."""

from __future__ import annotations

from toolkit.compress.experts import ExpertMatrices
from toolkit.compress.floats import stored_floats
from toolkit.compress.parameters import Matrix
from toolkit.compress.schemes import SCHEMES
from toolkit.export.executorch.offsets import with_positive_scales
from toolkit.export.executorch.program_data import WeightStore
from toolkit.export.executorch.xnnpack import Filter


def expert_filters(store: WeightStore, matrices: ExpertMatrices) -> list[Filter]:
    """A parameter's matrices, written."""
    spec = matrices.spec(store.plan)
    scheme = SCHEMES.get(spec.scheme)
    store.written(Matrix(matrices.name, "linear"), spec)
    if not scheme.quantized:
        values = stored_floats(matrices.read(store.weights), scheme, subject=matrices.name)
        return [store.float_filter(f"{matrices.name}.{index}", values[index]) for index in range(len(values))]
    tensor = matrices.quantized(store.weights, spec)
    tensor = tensor if tensor.symmetric else with_positive_scales(tensor)
    count = store.weights.read(matrices.name).shape[0]
    return [
        store.quantized_filter(f"{matrices.name}.{index}", part, dynamic_activation=scheme.dynamic_activation)
        for index, part in enumerate(tensor.split(count))
    ]
