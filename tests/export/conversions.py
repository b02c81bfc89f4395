"""Conversions as the tests ask for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toolkit.artifact import Artifact
from toolkit.compress.plan import plan_from_flags
from toolkit.export.convert import ConvertOptions
from toolkit.sources import ModelSource

Convert = Callable[..., Artifact]


def options(source: ModelSource, quant: str = "fp32", **flags: Any) -> ConvertOptions:
    keys = ("group_size", "algorithm", "symmetric", "embedding", "lm_head")
    plan = plan_from_flags(
        quant,
        **{key: flags.pop(key) for key in keys if key in flags},
        tied=source.config.tie_word_embeddings,
        layers=source.config.num_hidden_layers,
    )
    return ConvertOptions(plan=plan, label=quant, **flags)
