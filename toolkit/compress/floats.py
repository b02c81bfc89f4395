"""Weights that stay floats: as numbers of the type that they are stored in, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.compress.schemes import Scheme
from toolkit.errors import CompressError

if TYPE_CHECKING:
    import torch


def stored_floats(weight: torch.Tensor, scheme: Scheme, *, subject: str) -> NDArray[Any]:
    """The numbers in a scheme's own float type; few texts would meet a single bad row of a table.

    Args:
        weight: float32, of any shape.
        scheme: one that keeps floats.
        subject: the tensor's name, for messages.

    Raises:
        CompressError: NaN or infinity, or numbers beyond the type.
    """
    array = weight.numpy()
    if not np.isfinite(array).all():
        raise not_finite(subject)
    # Overflow is looked for below, and said there.
    with np.errstate(over="ignore"):
        stored = array.astype(scheme.float_dtype)
    if not np.isfinite(stored).all():
        raise CompressError(
            f"The weights reach {np.abs(array).max():.3g}, which {scheme.name} cannot hold.",
            subject=subject,
            next_step="Use --quant fp32, or integers: --quant 8da8w.",
        )
    return stored


def not_finite(subject: str) -> CompressError:
    """What is said of weights that are no numbers."""
    return CompressError(
        "The weights hold NaN or infinity.",
        subject=subject,
        next_step="The source is damaged, or overflowed when it was cast; get it again.",
    )
