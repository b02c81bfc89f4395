"""Fractional zero points as further columns."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.compress.tensor import QuantizedTensor
from toolkit.export.onnx.offset_columns import with_offset_columns


def fractional(rows: int, groups: int, seed: int) -> QuantizedTensor:
    generator = torch.Generator().manual_seed(seed)
    return QuantizedTensor(
        values=torch.randint(0, 16, (rows, groups * 32), generator=generator, dtype=torch.uint8),
        scales=torch.rand(rows, groups, generator=generator) * 0.2 + 0.01,
        # Offsets of any sign: some blocks hold only positive or only negative weights.
        zero_points=torch.rand(rows, groups, generator=generator) * 24 - 4,
        bits=4,
        group_size=32,
        symmetric=False,
        exact_offsets=True,
    )


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 70), st.integers(0, 2**16))
def test_product_with_group_sums_equals_the_exact_one(rows: int, groups: int, seed: int) -> None:
    exact = fractional(rows, groups, seed)
    extended = with_offset_columns(exact, subject="w")
    assert torch.equal(extended.values[:, : groups * 32], exact.values)
    assert torch.equal(extended.zero_points, extended.zero_points.round().clamp(0, 15))
    assert extended.shape[1] % 32 == 0

    inputs = torch.randn(groups * 32, generator=torch.Generator().manual_seed(seed + 1))
    sums = inputs.view(groups, 32).sum(1)
    padding = torch.zeros(extended.shape[1] - groups * 33)
    product = extended.dequantize() @ torch.cat([inputs, sums, padding])

    expected = exact.dequantize() @ inputs
    # The columns' own 4-bit rounding is all that is left.
    columns = torch.nn.functional.pad(
        (exact.zero_points.round().clamp(0, 15) - exact.zero_points) * exact.scales, (0, len(padding))
    )
    step = (columns.view(rows, -1, 32).amax(2) - columns.view(rows, -1, 32).amin(2)).amax(1) / 15
    assert ((product - expected).abs() <= 0.6 * step * sums.abs().sum() + 1e-3).all()
