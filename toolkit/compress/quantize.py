"""Turn a weight matrix into integers, scales and zero points."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

from toolkit.artifact import TensorQuantization
from toolkit.compress.algorithms import ALGORITHMS
from toolkit.compress.floats import not_finite
from toolkit.compress.groups import columns_per_group
from toolkit.compress.schemes import SCHEMES
from toolkit.compress.tensor import QuantizedTensor
from toolkit.errors import CompressError, UnknownScheme

# Elements handled at once: the handful of float32 temporaries an algorithm needs then stays in a core's
# L2 cache, which makes it several times faster than whole matrices and keeps memory flat.
CHUNK_ELEMENTS = 1 << 17


def quantize(weight: torch.Tensor, spec: TensorQuantization, *, subject: str) -> QuantizedTensor:
    """Quantize one matrix.

    Args:
        weight: float32 [rows, columns]; groups run along columns. Other float dtypes are widened chunk by
            chunk, so memory stays bounded by the result.
        spec: scheme, group size, symmetry and algorithm.
        subject: the tensor's name, for messages.

    Raises:
        UnknownScheme: unknown scheme or algorithm, or a scheme that keeps floats.
        BadGroupSize: the group size does not divide the columns.
        CompressError: not a matrix, or it holds NaN or infinity.
    """
    scheme = SCHEMES.get(spec.scheme)
    if not scheme.quantized:
        raise UnknownScheme(
            f"Scheme {scheme.name} keeps floats; there is nothing to quantize.",
            subject=subject,
            next_step="Choose a quantized scheme: 8w, 8da8w, 4w or 8da4w.",
        )
    algorithm = ALGORITHMS.get(spec.algorithm)
    if weight.ndim != 2:
        raise CompressError(
            f"Only matrices can be quantized, not shape {list(weight.shape)}.",
            subject=subject,
            next_step="Quantize linears and embeddings only.",
        )
    rows, columns = weight.shape
    group_size = columns_per_group(spec.group_size, columns, subject=subject)

    quantized = QuantizedTensor(
        values=torch.empty(rows, columns, dtype=torch.uint8),
        scales=torch.empty(rows, columns // group_size),
        zero_points=torch.empty(rows, columns // group_size),
        bits=scheme.weight_bits,
        group_size=group_size,
        symmetric=spec.symmetric,
    )

    def fill(chunk: slice) -> None:
        groups = weight[chunk].detach().to(torch.float32).reshape(-1, group_size).t().contiguous()
        if not torch.isfinite(groups).all():
            raise not_finite(subject)
        levels, scales, zero_points = algorithm(
            groups, bits=scheme.weight_bits, symmetric=spec.symmetric, positive=spec.positive_scales
        )
        stored = in_half_precision(scales)
        if not torch.equal(stored, scales):
            highest = 2**scheme.weight_bits - 1
            steps = (groups / stored).add_(zero_points)
            levels, scales = steps.round_().clamp_(0, highest), stored
        quantized.values[chunk] = levels.to(torch.uint8).t().reshape(-1, columns)
        quantized.scales[chunk] = scales.view(-1, columns // group_size)
        quantized.zero_points[chunk] = zero_points.view(-1, columns // group_size)

    step = max(1, CHUNK_ELEMENTS // columns)
    in_parallel(fill, [slice(first, min(first + step, rows)) for first in range(0, rows, step)])
    return quantized


def in_half_precision(scales: torch.Tensor) -> torch.Tensor:
    """Round scales to what float16 can hold, so that lowerings may store them in two bytes.

    Scales that float16 holds only as subnormals, and infinities, stay as they are.
    """
    rounded = scales.to(torch.float16).to(torch.float32)
    magnitude = rounded.abs()
    normal = (magnitude >= torch.finfo(torch.float16).smallest_normal) & magnitude.isfinite()
    return torch.where(normal, rounded, scales)


def in_parallel(fill: Callable[[slice], None], chunks: list[slice]) -> None:
    """Fill chunks on as many threads as torch would use, each thread on a chunk of its own.

    Torch's way, to split every small operation over all threads, waits at a barrier per operation: on a
    machine that is busy with other work this was seen to take 50 times as long.
    """
    threads = torch.get_num_threads()
    if threads == 1 or len(chunks) == 1:
        for chunk in chunks:
            fill(chunk)
        return
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for _ in pool.map(fill, chunks):
                pass
    finally:
        # The setting is per thread for torch's own operations, but for the whole process in MKL.
        torch.set_num_threads(threads)
