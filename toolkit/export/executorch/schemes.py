"""What XNNPACK can store and multiply, and how presets and defaults are brought within it."""

from __future__ import annotations

from dataclasses import replace

from toolkit.artifact import TensorQuantization
from toolkit.compress.groups import PER_CHANNEL
from toolkit.compress.plan import QuantizationPlan
from toolkit.errors import UnknownScheme

# Group sizes by scheme; per-channel is 0.
SUPPORTED: dict[str, tuple[int, ...]] = {
    "fp32": (),
    "8w": (PER_CHANNEL,),
    "8da8w": (PER_CHANNEL,),
    "4w": (PER_CHANNEL,),
    "8da4w": (32, 64, 128, 256, PER_CHANNEL),
}
TABLES = ("fp32", "8w", "4w")


def adapt(plan: QuantizationPlan, *, keep_groups: bool, keep_grid: bool) -> QuantizationPlan:
    """Bring a preset or a default within what XNNPACK has; anything else is left for :func:`check_supported`.

    Matrices get the next larger group size that XNNPACK has, at last one scale per output channel. Grids
    become symmetric with positive scales. A source's own 4-bit blocks are quantized again. The embedding's
    kernels would take more, but it follows the linears, so that a tied vocabulary has one set of integers.

    Args:
        plan: as the flags gave it.
        keep_groups: the group size was asked for.
        keep_grid: the symmetry was asked for.
    """

    def adapted(spec: TensorQuantization, groups: tuple[int, ...]) -> TensorQuantization:
        if not groups:
            return spec
        changes: dict[str, object] = {"positive_scales": True}
        if spec.group_size not in groups and not keep_groups:
            larger = [size for size in groups if size >= (spec.group_size or PER_CHANNEL)]
            changes["group_size"] = min(larger, default=PER_CHANNEL)
        if not keep_grid:
            changes["symmetric"] = True
        return spec.model_copy(update=changes)

    def linear(spec: TensorQuantization) -> TensorQuantization:
        return adapted(spec, SUPPORTED.get(spec.scheme, ()))

    table_groups = SUPPORTED.get(f"8da{plan.embedding.scheme}", ())
    return replace(
        plan,
        carry_over="nothing" if plan.carry_over == "linears" else plan.carry_over,
        linear=linear(plan.linear),
        embedding=adapted(plan.embedding, table_groups),
        lm_head=linear(plan.lm_head),
        overrides=tuple((pattern, linear(spec)) for pattern, spec in plan.overrides),
    )


def check_supported(plan: QuantizationPlan) -> None:
    """Refuse a plan that XNNPACK or the embedding kernels cannot run.

    Raises:
        UnknownScheme: with the list of what they can.
    """
    if plan.carry_over != "nothing":
        raise _refusal("cannot take over a GGUF file's integers: XNNPACK has no offsets per group")
    for spec in (plan.linear, plan.lm_head, *(spec for _, spec in plan.overrides)):
        groups = SUPPORTED.get(spec.scheme)
        if groups is None or (groups and spec.group_size not in groups):
            size = "" if spec.group_size is None else f" with group size {spec.group_size}"
            raise _refusal(f"has no {spec.scheme} linears{size}")
        if groups and not (spec.symmetric and spec.positive_scales):
            raise _refusal("has no asymmetric linears")
    if plan.embedding.scheme not in TABLES:
        raise _refusal(f"has no {plan.embedding.scheme} embedding")


def _refusal(what: str) -> UnknownScheme:
    linears = ", ".join(scheme + _sizes(groups) for scheme, groups in SUPPORTED.items())
    return UnknownScheme(
        f"The ExecuTorch backend {what}.",
        next_step=f"Linears can be {linears}, all symmetric; the embedding {', '.join(TABLES)}.",
    )


def _sizes(groups: tuple[int, ...]) -> str:
    return f" (group size {' '.join(map(str, groups))})" if groups else ""
