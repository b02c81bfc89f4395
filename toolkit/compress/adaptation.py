"""Bringing presets and defaults within what an engine has, and refusing what it lacks."""

from __future__ import annotations

from dataclasses import replace

from toolkit.artifact import TensorQuantization
from toolkit.compress.groups import PER_CHANNEL
from toolkit.compress.plan import QuantizationPlan
from toolkit.compress.schemes import SCHEMES, Scheme
from toolkit.engines.spec import Capabilities, EngineSpec
from toolkit.errors import UnknownScheme


def adapt(
    plan: QuantizationPlan, can: Capabilities, *, keep_groups: bool, keep_grid: bool
) -> QuantizationPlan:
    """Bring a preset or a default within what an engine has; the rest is left for :func:`check_supported`.

    Matrices get the next larger group size that the engine has, at last one scale per output channel. A
    vocabulary in finer groups of 4 bits than it has gets 8 bits per channel instead: coarser groups would
    give up what the finer ones were chosen for. Symmetric scales become positive where they must be, and
    grids symmetric where there are no groups and channels have no zero points. The embedding follows the
    linears, whatever else its kernels take, so that a tied vocabulary has one set of integers.

    Args:
        plan: as the flags gave it.
        can: what the engine can do.
        keep_groups: the group size was asked for.
        keep_grid: the symmetry was asked for.
    """

    def within(spec: TensorQuantization, scheme: Scheme) -> TensorQuantization:
        """A spec within what linears of a scheme can be."""
        groups = can.linears.get(scheme.name, ())
        if not groups:
            return spec
        size = spec.group_size
        if size not in groups and not keep_groups:
            larger = [group for group in groups if group >= (spec.group_size or PER_CHANNEL)]
            size = min(larger, default=PER_CHANNEL)
        may_be_asymmetric = can.asymmetric_channels or size != PER_CHANNEL
        symmetric = spec.symmetric or not (may_be_asymmetric or keep_grid)
        positive = symmetric and not can.negative_scales
        return spec.model_copy(
            update={"group_size": size, "symmetric": symmetric, "positive_scales": positive}
        )

    def linear(spec: TensorQuantization) -> TensorQuantization:
        return within(spec, SCHEMES.get(spec.scheme))

    def vocabulary(spec: TensorQuantization) -> TensorQuantization:
        stored = SCHEMES.get(spec.scheme)
        product = stored.dynamic or stored
        finest = min((size for size in can.linears.get(product.name, ()) if size != PER_CHANNEL), default=0)
        if not keep_groups and 0 < (spec.group_size or PER_CHANNEL) < finest:
            spec = spec.model_copy(update={"scheme": stored.eight_bit.name, "group_size": PER_CHANNEL})
            product = product.eight_bit
        return within(spec, product)

    dynamic_head = SCHEMES.get(plan.lm_head.scheme).dynamic_activation
    return replace(
        plan,
        linear=linear(plan.linear),
        embedding=vocabulary(plan.embedding),
        lm_head=vocabulary(plan.lm_head) if dynamic_head else linear(plan.lm_head),
        overrides=tuple((pattern, linear(spec)) for pattern, spec in plan.overrides),
        parts=tuple((part, linear(spec)) for part, spec in plan.parts),
    )


def check_supported(plan: QuantizationPlan, engine: EngineSpec) -> None:
    """Refuse a plan that an engine cannot run.

    Raises:
        UnknownScheme: with the list of what it can.
    """
    can = engine.capabilities
    if plan.carry_over == "all" and not can.gguf_integers:
        raise _refusal(
            engine, "cannot keep all of a GGUF file's integers (mobile-4bit keeps its 4-bit linears)"
        )
    linears = plan.products
    for spec in linears:
        groups = can.linears.get(spec.scheme)
        if groups is None or (groups and spec.group_size not in groups):
            size = "" if spec.group_size is None else f" with group size {spec.group_size}"
            raise _refusal(engine, f"has no {spec.scheme} linears{size}")
        if not groups:
            continue
        if not (spec.symmetric or can.asymmetric_channels) and spec.group_size == PER_CHANNEL:
            raise _refusal(engine, "has asymmetric linears in groups only")
        if spec.symmetric and not (spec.positive_scales or can.negative_scales):
            raise _refusal(engine, "has no linears with negative scales")
    if plan.embedding.scheme not in can.embeddings:
        raise _refusal(engine, f"has no {plan.embedding.scheme} embedding")
    for spec in (*linears, plan.embedding):
        if can.algorithms is not None and spec.algorithm not in (*can.algorithms, "none"):
            raise _refusal(engine, f"does not take matrices that {spec.algorithm} quantized")


def slowness(plan: QuantizationPlan, engine: EngineSpec) -> str | None:
    """A warning when a matrix would decode more slowly than in fp32, with the option to give instead."""
    slow = dict.fromkeys(spec.scheme for spec in plan.products if spec.scheme in engine.slow_schemes)
    if not slow:
        return None
    linear, head = plan.linear.scheme, plan.lm_head.scheme
    options = []
    if linear in slow:
        options.append(f"--quant {engine.slow_schemes[linear]}")
    elif any(spec.scheme in slow for _, spec in (*plan.overrides, *plan.parts)):
        # Parts in 8 bits treat activations as the linears do: the linears' scheme decides.
        options.append(f"--quant {(SCHEMES.get(linear).dynamic or SCHEMES.get(linear)).name}")
    # A head of its own; one that was not asked for follows --quant.
    if head in slow and head != linear:
        options.append(f"--lm-head {engine.slow_schemes[head]}")
    return (
        f"{', '.join(slow)} decodes more slowly than fp32 on {engine.title}: "
        f"{' '.join(options)} is as small and fast"
    )


def _refusal(engine: EngineSpec, what: str) -> UnknownScheme:
    can = engine.capabilities
    linears = ", ".join(scheme + _sizes(groups) for scheme, groups in can.linears.items())
    algorithms = "" if can.algorithms is None else f"; algorithms are {', '.join(can.algorithms)}"
    return UnknownScheme(
        f"The {engine.title} backend {what}.",
        next_step=f"Linears can be {linears}; groups can be asymmetric; the embedding "
        f"{', '.join(can.embeddings)}{algorithms}.",
    )


def _sizes(groups: tuple[int, ...]) -> str:
    return f" (group size {' '.join(map(str, groups))})" if groups else ""
