"""Values of a config that no model follows from, named before, or where, transformers fails over them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from toolkit.errors import SourceCorrupt
from toolkit.registry import did_you_mean

if TYPE_CHECKING:
    from transformers import PretrainedConfig

# Scores and logits are divided by these, where they are not null: some attentions do, some pass over 0.
_SOFT_CAPS = ("attn_logit_softcapping", "final_logit_softcapping")
_SIZES = (
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
)
# Under what names configs keep what is applied within a layer.
_ACTIVATIONS = ("hidden_act", "hidden_activation", "activation_function", "activation", "ffn_act_fn")


def check_values(config: PretrainedConfig, *, subject: str) -> None:
    """Refuse a vocabulary of no tokens, and soft caps that are no numbers above 0.

    Args:
        config: the text decoder's.
        subject: the folder or file that it is from.

    Raises:
        SourceCorrupt: names the value.
    """
    tokens = getattr(config, "vocab_size", None)
    if isinstance(tokens, int) and tokens < 1:
        raise SourceCorrupt(
            f"vocab_size is {tokens}: a model without tokens",
            subject=subject,
            next_step="Set it to the rows of the embedding, or get the config of these weights.",
        )
    for name in _SOFT_CAPS:
        cap = getattr(config, name, None)
        if isinstance(cap, int | float) and not (cap > 0 and math.isfinite(cap)):
            raise SourceCorrupt(
                f"{name} is {cap!r}, no number above 0",
                subject=subject,
                next_step="Correct it to the original model's; null is no soft cap.",
            )


def odd_value(config: PretrainedConfig) -> tuple[str, str] | None:
    """What transformers may have failed over where it made no model, and what to do; None where none is seen.

    Args:
        config: the text decoder's.
    """
    from transformers.activations import ACT2FN

    for name in _ACTIVATIONS:
        value = getattr(config, name, None)
        if isinstance(value, str) and value not in ACT2FN:
            near = did_you_mean(value, ACT2FN) or "Transformers has silu, gelu, relu and others. "
            return (
                f"{name} is {value!r}, an activation that transformers does not know",
                f"{near}Correct {name} in its config.",
            )
    return odd_size({name: getattr(config, name, None) for name in _SIZES})


def odd_size(fields: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first size of a config that is none, in words, and what to do; None where all are."""
    for name in _SIZES:
        value = fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value < 1:
            return f"{name} is {value}", f"Correct {name} in its config to the original model's."
    return None
