"""Rotary embedding's values in a config: refused where no angles can be computed from them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolkit.errors import SourceCorrupt

if TYPE_CHECKING:
    from transformers import PretrainedConfig

# What transformers divides by, or raises to a power, in the scaling of each type (modeling_rope_utils).
_POSITIVE = {
    "linear": ("factor",),
    "dynamic": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
}
# These may be missing or null, since others say the same; what is said must be a number above 0.
_POSITIVE_IF_SAID = ("factor", "original_max_position_embeddings", "partial_rotary_factor")
_SCALED = ("linear", "dynamic", "llama3", "yarn", "longrope")
_FACTORS = ("short_factor", "long_factor")


def check_rotary(config: PretrainedConfig, *, subject: str) -> None:
    """Refuse values that no angles follow from: bases and factors of 0, texts, not a number, short lists.

    Args:
        config: the text decoder's.
        subject: the folder or file that it is from.

    Raises:
        SourceCorrupt: names the value.
    """
    for place, values in _blocks(getattr(config, "rope_parameters", None), "rope_parameters"):
        kind = values.get("rope_type", "default")
        required = [name for name in ("rope_theta",) if name in values] + list(_POSITIVE.get(str(kind), ()))
        said = [name for name in _POSITIVE_IF_SAID if kind in _SCALED and values.get(name) is not None]
        for name in dict.fromkeys([*required, *said]):
            if not _is_positive(values.get(name)):
                raise _refusal(f"{place}.{name} is {values.get(name)!r}, not a number above 0", subject)
        if kind == "longrope":
            _check_lists(config, values, place, subject)


def unknown_scaling(config: PretrainedConfig) -> str | None:
    """A type of scaling that transformers does not know, in words; None where it knows all.

    Asked where transformers makes no model: some classes have types of their own.

    Args:
        config: the text decoder's.
    """
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    known = ["default", *ROPE_INIT_FUNCTIONS]
    for place, values in _blocks(getattr(config, "rope_parameters", None), "rope_parameters"):
        kind = values.get("rope_type", "default")
        if kind not in known:
            return f"{place}.rope_type is {kind!r}, not one of {', '.join(known)}"
    return None


def _check_lists(config: PretrainedConfig, values: Mapping[str, Any], place: str, subject: str) -> None:
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    count = int(width * (values.get("partial_rotary_factor") or 1.0)) // 2
    for name in _FACTORS:
        factors = values.get(name)
        if not isinstance(factors, list) or not all(map(_is_positive, factors)):
            raise _refusal(f"{place}.{name} is no list of numbers above 0", subject)
        if len(factors) != count:
            raise _refusal(
                f"{place}.{name} has {len(factors)} factors, the {count} angles of a head need {count}",
                subject,
            )


def _blocks(values: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The values of all layers, or those of each kind of layers."""
    if not isinstance(values, dict):
        return
    inner = {key: value for key, value in values.items() if isinstance(value, dict)}
    if "rope_type" in values or "rope_theta" in values or not inner:
        yield place, values
    for key, value in inner.items():
        yield f"{place}.{key}", value


def _is_positive(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0


def _refusal(what: str, subject: str) -> SourceCorrupt:
    return SourceCorrupt(
        what,
        subject=subject,
        next_step="Correct it to the value of the original model, or get the model again.",
    )
