"""Groups that do not divide a matrix's columns: refused where they were asked for, else replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from toolkit.artifact import TensorQuantization
from toolkit.compress.groups import PER_CHANNEL
from toolkit.compress.plan import QuantizationPlan, Role
from toolkit.compress.schemes import SCHEMES
from toolkit.engines.spec import Capabilities, EngineSpec
from toolkit.errors import BadGroupSize


@dataclass(frozen=True)
class Columns:
    """The width of a decoder's matrix, in one of its roles; tied ones have two.

    Attributes:
        name: of the parameter.
        role: decides the quantization.
        count: input features.
    """

    name: str
    role: Role
    count: int


def fitted(
    plan: QuantizationPlan, matrices: Sequence[Columns], engine: EngineSpec, *, asked: bool
) -> tuple[QuantizationPlan, list[str]]:
    """A plan whose groups divide the columns of every matrix, and the matrices that it changed.

    What does not fit gets the largest smaller group that the engine has, else 8 bits with one scale per
    channel: coarser 4-bit scales would cost more than the bits save.

    Args:
        plan: what the engine can run.
        matrices: all of them.
        engine: what it is for.
        asked: the group size was asked for, so nothing is replaced.

    Raises:
        BadGroupSize: an asked-for size does not divide; names those that do for this engine.
    """
    misfits = [
        (matrix, spec)
        for matrix in matrices
        if (spec := plan.spec_for(matrix.name, matrix.role)).group_size and matrix.count % spec.group_size
    ]
    if not misfits:
        return plan, []
    if asked:
        matrix, spec = misfits[0]
        raise BadGroupSize(
            f"Group size {spec.group_size} does not divide the {matrix.count} columns.",
            subject=matrix.name,
            next_step=_advice(plan, matrices, engine),
        )
    changes = [(matrix, _next_smaller(spec, matrix.count, engine.capabilities)) for matrix, spec in misfits]
    roles = {matrix.role: spec for matrix, spec in changes}
    changed = replace(
        plan,
        embedding=roles.get("embedding", plan.embedding),
        lm_head=roles.get("lm_head", plan.lm_head),
        overrides=(
            *((matrix.name, spec) for matrix, spec in changes if matrix.role == "linear"),
            *plan.overrides,
        ),
    )
    return changed, list(dict.fromkeys(matrix.name for matrix, _ in changes))


def _next_smaller(spec: TensorQuantization, columns: int, can: Capabilities) -> TensorQuantization:
    scheme = SCHEMES.get(spec.scheme)
    sizes = [
        size
        for size in can.linears.get((scheme.dynamic or scheme).name, ())
        if PER_CHANNEL < size < (spec.group_size or 0) and columns % size == 0
    ]
    if sizes:
        return spec.model_copy(update={"group_size": max(sizes)})
    return spec.model_copy(
        update={
            "scheme": scheme.eight_bit.name,
            "group_size": PER_CHANNEL,
            "symmetric": True,
            "positive_scales": not can.negative_scales,
        }
    )


def _advice(plan: QuantizationPlan, matrices: Sequence[Columns], engine: EngineSpec) -> str:
    """Sizes that divide all matrices and that the engine has for all of their schemes."""
    can = engine.capabilities
    fitting: set[int] | None = None
    for matrix in matrices:
        spec = plan.spec_for(matrix.name, matrix.role)
        scheme = SCHEMES.get(spec.scheme)
        if not scheme.quantized:
            continue
        sizes = can.linears.get((scheme.dynamic or scheme).name) or can.linears.get(scheme.name, ())
        own = {
            size
            for size in sizes
            if (size and matrix.count % size == 0)
            or (size == PER_CHANNEL and (spec.symmetric or can.asymmetric_channels))
        }
        fitting = own if fitting is None else fitting & own
    if not fitting:
        return "Leave --group-size and --asymmetric out; the plan then fits itself to the model."
    listed = ", ".join(str(size) for size in sorted(fitting, key=lambda size: (size == PER_CHANNEL, size)))
    channel = " (0 is one scale per output channel)" if PER_CHANNEL in fitting else ""
    return f"Group sizes that fit on {engine.title}: {listed}{channel}."
