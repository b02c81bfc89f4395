"""What XNNPACK can store and multiply, and how a plan is brought within it."""

from __future__ import annotations

from dataclasses import replace

from toolkit.artifact import TensorQuantization
from toolkit.compress.groups import PER_CHANNEL
from toolkit.compress.plan import QuantizationPlan
from toolkit.compress.schemes import SCHEMES
from toolkit.errors import UnknownScheme

# Group sizes by scheme; None where there are none. Per-channel is 0.
SUPPORTED: dict[str, tuple[int | None, ...]] = {
    "fp32": (None,),
    "8w": (PER_CHANNEL,),
    "8da8w": (PER_CHANNEL,),
    "4w": (PER_CHANNEL,),
    "8da4w": (32, 64, 128, 256, PER_CHANNEL),
}


def fit(plan: QuantizationPlan, *, explicit_group_size: bool, explicit_asymmetric: bool) -> QuantizationPlan:
    """The plan with every linear as XNNPACK can have it.

    Presets and defaults give way: asymmetric groups become symmetric ones, and where XNNPACK has no groups
    (8 bits, and weight-only) they become one scale per output channel. What was asked for by a flag does not.
    The embedding is looked up by another kernel, which takes any group size and zero points.

    Raises:
        UnknownScheme: XNNPACK has no such linear, or the flags ask for what it lacks.
    """
    if plan.carry_over:
        raise UnknownScheme(
            "ExecuTorch cannot take over a GGUF file's integers: XNNPACK has neither zero points per group nor"
            " 8-bit groups.",
            next_step=_next_step(),
        )

    def fitted(spec: TensorQuantization) -> TensorQuantization:
        groups = SUPPORTED.get(spec.scheme, ())
        asymmetric = explicit_asymmetric and not spec.symmetric
        if not groups or asymmetric or (explicit_group_size and spec.group_size not in groups):
            grid = "" if spec.group_size is None else f" with group size {spec.group_size}"
            kind = "asymmetric " if asymmetric else ""
            raise UnknownScheme(
                f"ExecuTorch's XNNPACK backend has no {kind}{spec.scheme} linears{grid}.", next_step=_next_step()
            )
        if not SCHEMES.get(spec.scheme).quantized:
            return spec
        size = spec.group_size if spec.group_size in groups else PER_CHANNEL
        return spec.model_copy(update={"group_size": size, "symmetric": True, "positive_scales": True})

    return replace(
        plan,
        linear=fitted(plan.linear),
        lm_head=fitted(plan.lm_head),
        embedding=_table(plan.embedding),
        overrides=tuple((pattern, fitted(spec)) for pattern, spec in plan.overrides),
    )


def _table(spec: TensorQuantization) -> TensorQuantization:
    """The token table is stored apart from a tied lm_head, in another layout; only fp16 has no kernel."""
    if spec.scheme == "fp16":
        raise UnknownScheme("ExecuTorch's embedding kernels have no fp16 table.", next_step=_next_step())
    return spec


def _next_step() -> str:
    listed = ", ".join(f"{scheme} ({_listed(groups)})" for scheme, groups in SUPPORTED.items())
    return f"Supported with --backend executorch: {listed}; --group-size 0 is per-channel."


def _listed(groups: tuple[int | None, ...]) -> str:
    sizes = [group for group in groups if group is not None]
    if not sizes:
        return "floats"
    return "symmetric, group size " + " or ".join(", ".join(map(str, sizes)).rsplit(", ", 1))
