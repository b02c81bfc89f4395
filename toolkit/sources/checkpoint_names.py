"""Names that checkpoints use for the parameters of a text decoder."""

from __future__ import annotations

from collections.abc import Container

# Base models are stored without the wrapper's prefix (gpt2), decoders of multimodal models below another one.
_BASE_PREFIXES = ("model.", "transformer.")
_WRAPPERS = ("language_model.", "model.language_model.")


def stored_name(parameter: str, stored: Container[str]) -> str | None:
    """The name under which a checkpoint holds a ``state_dict()`` entry, or None.

    Args:
        parameter: e.g. ``model.layers.0.self_attn.q_proj.weight``.
        stored: names in the checkpoint.
    """
    return next((name for name in _candidates(parameter) if name in stored), None)


def _candidates(parameter: str) -> list[str]:
    base = next((prefix for prefix in _BASE_PREFIXES if parameter.startswith(prefix)), "")
    bare = parameter.removeprefix(base)
    candidates = [parameter, *(wrapper + parameter for wrapper in _WRAPPERS)]
    # A bare lm_head has no prefix to lose; bare names only ever belong to the decoder's body.
    return [*candidates, bare, *(wrapper + bare for wrapper in _WRAPPERS)] if base else candidates
