"""Rotary scaling that GGUF files carry as tensors instead of as parameters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from toolkit.errors import SourceCorrupt, SourceError
from toolkit.sources.gguf.header import GgufHeader

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LONG_FACTORS = "rope_factors_long.weight"
SHORT_FACTORS = "rope_factors_short.weight"
# Llama 3.1 and 3.2 all use these; the file stores only the factors that follow from them.
_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}


def llama3_rotary(header: GgufHeader, theta: float) -> dict[str, Any]:
    """Recover Llama 3's scaling parameters from ``rope_freqs`` and check that they explain it.

    Raises:
        SourceError: factors that Llama 3's formula does not give.
    """
    import numpy as np

    factors = _float32_vector(header, "rope_freqs.weight")
    factor = float(factors.max())
    if factor == 1.0:
        return {"rope_type": "default", "rope_theta": theta}
    frequencies = theta ** (-np.arange(factors.size) / factors.size)
    wavelengths = 2 * math.pi / frequencies
    original, low, high = (
        _LLAMA3[key] for key in ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor")
    )
    # Long wavelengths are scaled by the factor, short ones kept, those between blended.
    blend = np.clip((original / wavelengths - low) / (high - low), 0, 1)
    if not np.allclose(factors, 1 / ((1 - blend) / factor + blend), rtol=1e-3):
        raise SourceError(
            "its rotary scaling (rope_freqs) is not Llama 3's",
            subject=str(header.path),
            next_step="Use the model's safetensors folder.",
        )
    return {"rope_type": "llama3", "rope_theta": theta, "factor": factor, **_LLAMA3}


def long_rotary(header: GgufHeader, theta: float, original_positions: int) -> dict[str, Any]:
    """Phi-3's and MiniCPM 4's long and short factors."""
    return {
        "rope_type": "longrope",
        "rope_theta": theta,
        "long_factor": _float32_vector(header, LONG_FACTORS).tolist(),
        "short_factor": _float32_vector(header, SHORT_FACTORS).tolist(),
        "original_max_position_embeddings": original_positions,
    }


def _float32_vector(header: GgufHeader, name: str) -> NDArray[np.float32]:
    import numpy as np

    entry = header.tensors.get(name)
    if entry is None or entry.type_name != "F32":
        raise SourceCorrupt(
            f"tensor {name} is missing or not F32", subject=str(header.path), next_step="Get the file again."
        )
    return np.fromfile(entry.path, np.float32, math.prod(entry.shape), offset=entry.offset_bytes)
