"""Tables of the model's rotary embeddings, computed by transformers' own modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from toolkit.capture.patches import rope_values as module_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    # Cosines and sines, float32 [context, rotary_dim / 2], of the rotary embedding of that name.
    RopeTables = Callable[[str], tuple[NDArray[np.float32], NDArray[np.float32]]]


def rope_values(model: Any, name: str, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines, float32 [1, length, dim], as the model computes them for a text of that length.

    Args:
        model: a skeleton.
        name: as in slm::rope_table: the module's name, and after a colon the layer type it is asked for.
        length: positions. Scalings that depend on the length of the text (longrope, dynamic) are fixed at
            this length, because a table has one value per position.
    """
    module_name, _, layer_type = name.partition(":")
    values = module_values(model.get_submodule(module_name), length, layer_type or None)
    cos, sin = (values.real, values.imag) if isinstance(values, torch.Tensor) else values
    return cos.to(torch.float32), sin.to(torch.float32)


def rope_table(model: Any, name: str, context_length: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cosines and sines, float32 [context_length, rotary_dim / 2], of an embedding that repeats halves."""
    cos, sin = rope_values(model, name, context_length)
    half = cos.shape[-1] // 2
    # Both halves of the last dimension hold the same angles; the engine wants them once.
    return _table(cos, half), _table(sin, half)


def first_long_position(config: Any, context_length: int) -> int:
    """From which position on the original model rotates as the table of a context length does.

    Longrope has other factors for texts that are longer than the original context. Rotary embeddings only
    know differences of positions, so a short text that starts there is rotated as the end of a long one.
    """
    parameters = getattr(config, "rope_parameters", None) or {}
    nested = [value for value in parameters.values() if isinstance(value, dict)]
    for scaling in nested or [parameters]:
        if scaling.get("rope_type") == "longrope":
            original = scaling.get("original_max_position_embeddings") or getattr(
                config, "original_max_position_embeddings", None
            )
            if original and context_length > original:
                return int(original)
    return 0


def _table(values: torch.Tensor, half: int) -> NDArray[np.float32]:
    return np.ascontiguousarray(values[0, :, :half].numpy())
