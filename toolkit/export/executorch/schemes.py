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

    Matrices get the next larger group size that XNNPACK has, at last one scale per output channel. A
    vocabulary in finer groups of 4 bits than it has gets 8 bits per channel instead: coarser groups would
    give up what the finer ones were chosen for. Symmetric scales become positive, and grids symmetric where
    there are no groups. The embedding's kernels would take more, but it follows the linears, so that a tied
    vocabulary has one set of integers.

    Args:
        plan: as the flags gave it.
        keep_groups: the group size was asked for.
        keep_grid: the symmetry was asked for.
    """

    def adapted(spec: TensorQuantization, scheme: str) -> TensorQuantization:
        """A spec within what linears of a scheme can be."""
        groups = SUPPORTED.get(scheme, ())
        if not groups:
            return spec
        changes: dict[str, object] = {}
        if spec.group_size not in groups and not keep_groups:
            larger = [size for size in groups if size >= (spec.group_size or PER_CHANNEL)]
            changes["group_size"] = min(larger, default=PER_CHANNEL)
        grouped = changes.get("group_size", spec.group_size) != PER_CHANNEL
        symmetric = spec.symmetric or not (grouped or keep_grid)
        return spec.model_copy(update={**changes, "symmetric": symmetric, "positive_scales": symmetric})

    def linear(spec: TensorQuantization) -> TensorQuantization:
        return adapted(spec, spec.scheme)

    def vocabulary(spec: TensorQuantization) -> TensorQuantization:
        scheme = f"8da{spec.scheme.removeprefix('8da')}"
        finest = min((size for size in SUPPORTED.get(scheme, ()) if size != PER_CHANNEL), default=0)
        if not keep_groups and 0 < (spec.group_size or PER_CHANNEL) < finest:
            wider = spec.scheme.replace("4w", "8w")
            spec = spec.model_copy(update={"scheme": wider, "group_size": PER_CHANNEL})
            scheme = scheme.replace("4w", "8w")
        return adapted(spec, scheme)

    return replace(
        plan,
        linear=linear(plan.linear),
        embedding=vocabulary(plan.embedding),
        lm_head=vocabulary(plan.lm_head) if plan.lm_head.scheme.startswith("8da") else linear(plan.lm_head),
        overrides=tuple((pattern, linear(spec)) for pattern, spec in plan.overrides),
    )


def check_supported(plan: QuantizationPlan) -> None:
    """Refuse a plan that XNNPACK or the embedding kernels cannot run.

    Raises:
        UnknownScheme: with the list of what they can.
    """
    if plan.carry_over == "all":
        raise _refusal("cannot keep all of a GGUF file's integers (mobile-4bit keeps its 4-bit linears)")
    for spec in (plan.linear, plan.lm_head, *(spec for _, spec in plan.overrides)):
        groups = SUPPORTED.get(spec.scheme)
        if groups is None or (groups and spec.group_size not in groups):
            size = "" if spec.group_size is None else f" with group size {spec.group_size}"
            raise _refusal(f"has no {spec.scheme} linears{size}")
        if groups and not spec.symmetric and spec.group_size == PER_CHANNEL:
            raise _refusal("has asymmetric linears in groups only")
        if groups and spec.symmetric and not spec.positive_scales:
            raise _refusal("has no linears with negative scales")
    if plan.embedding.scheme not in TABLES:
        raise _refusal(f"has no {plan.embedding.scheme} embedding")


def _refusal(what: str) -> UnknownScheme:
    linears = ", ".join(scheme + _sizes(groups) for scheme, groups in SUPPORTED.items())
    return UnknownScheme(
        f"The ExecuTorch backend {what}.",
        next_step=f"Linears can be {linears}; groups can be asymmetric; the embedding {', '.join(TABLES)}.",
    )


def _sizes(groups: tuple[int, ...]) -> str:
    return f" (group size {' '.join(map(str, groups))})" if groups else ""
