"""A plan applied to a decoder's sizes."""

from __future__ import annotations

from toolkit.compress.fitting import Columns, fitted
from toolkit.compress.plan import QuantizationPlan, for_model, with_exact
from toolkit.compress.schemes import SCHEMES
from toolkit.engines.spec import EngineSpec
from toolkit.engines.storage import StoredMatrix
from toolkit.models.shape import DecoderShape, MatrixShape


def stored_matrices(
    shape: DecoderShape, plan: QuantizationPlan, engine: EngineSpec, *, group_size_asked: bool = False
) -> list[StoredMatrix]:
    """Every matrix with the quantization that a conversion gives it.

    Raises:
        BadGroupSize: a group size that was asked for does not divide a matrix.
    """
    columns = [Columns(one.name, one.role, one.columns) for one in shape.matrices]
    plan = with_exact(for_model(plan, shape.parts), shape.routers)
    plan, _ = fitted(plan, columns, engine, asked=group_size_asked)
    return [_stored(one, plan) for one in shape.matrices]


def quantized_as(shape: DecoderShape, plan: QuantizationPlan) -> list[StoredMatrix]:
    """Every matrix with the quantization that a plan says."""
    plan = for_model(plan, shape.parts)
    return [_stored(one, plan) for one in shape.matrices]


def _stored(matrix: MatrixShape, plan: QuantizationPlan) -> StoredMatrix:
    spec = plan.spec_for(matrix.name, matrix.role)
    scheme = SCHEMES.get(spec.scheme)
    if not scheme.quantized:
        return StoredMatrix(matrix, scheme.weight_bits, 0, True, False)
    columns = spec.group_size or matrix.columns
    return StoredMatrix(matrix, scheme.weight_bits, columns, spec.symmetric, scheme.dynamic_activation)
