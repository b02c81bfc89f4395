"""What the flags of `slm convert` mean, for the command and for recipes: a plan and a label."""

from __future__ import annotations

from typing import Any, Protocol

from toolkit.compress.plan import QuantizationPlan, plan_from_flags
from toolkit.compress.schemes import SCHEMES
from toolkit.export.backends import BackendName
from toolkit.export.executorch.schemes import adapt, check_supported


class QuantizationFlags(Protocol):
    """The flags that decide about quantization; None stands for one that is not given."""

    @property
    def backend(self) -> BackendName: ...  # noqa: D102

    @property
    def quant(self) -> str: ...  # noqa: D102

    @property
    def group_size(self) -> int | None: ...  # noqa: D102

    @property
    def algorithm(self) -> str | None: ...  # noqa: D102

    @property
    def symmetric(self) -> bool | None: ...  # noqa: D102

    @property
    def embedding(self) -> str | None: ...  # noqa: D102

    @property
    def lm_head(self) -> str | None: ...  # noqa: D102


def plan_of(flags: QuantizationFlags, *, tied: bool, layers: int) -> QuantizationPlan:
    """The quantization plan that the flags stand for, within what the backend can do.

    Args:
        flags: as given.
        tied: embedding and lm_head are one matrix.
        layers: decoder layers of the model.

    Raises:
        CompressError: a combination that cannot be done.
    """
    plan = plan_from_flags(
        flags.quant,
        group_size=flags.group_size,
        algorithm=flags.algorithm,
        symmetric=flags.symmetric,
        embedding=flags.embedding,
        lm_head=flags.lm_head,
        tied=tied,
        layers=layers,
    )
    if flags.backend == "executorch":
        plan = adapt(plan, keep_groups=flags.group_size is not None, keep_grid=flags.symmetric is not None)
        check_supported(plan)
    return plan


def plan_for(flags: QuantizationFlags, config: Any) -> QuantizationPlan:
    """As :func:`plan_of`, for a model by its transformers configuration."""
    tied = bool(getattr(config, "tie_word_embeddings", False))
    return plan_of(flags, tied=tied, layers=config.num_hidden_layers)


def label_of(flags: QuantizationFlags, plan: QuantizationPlan) -> str:
    """Names the quantization in the artifact's name; a preset's name says it all."""
    group_size = plan.linear.group_size
    if group_size is None or flags.quant not in SCHEMES:
        return flags.quant
    return f"{flags.quant}-{f'g{group_size}' if group_size else 'channel'}-{plan.linear.algorithm}"
