"""Zero points anywhere, on kernels that know one."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.compress.tensor import QuantizedTensor
from toolkit.export.executorch.offsets import offset_matrix, with_positive_scales


@st.composite
def asymmetric(draw: st.DrawFn) -> QuantizedTensor:
    """Blocks as GGUF files have them: scales of both signs, some zero, some groups of one level."""
    rows, groups, seed = draw(st.integers(1, 9)), draw(st.integers(1, 20)), draw(st.integers(0, 2**16))
    generator = torch.Generator().manual_seed(seed)
    scales = torch.randn(rows, groups, generator=generator) * 0.1
    zero_points = torch.rand(rows, groups, generator=generator) * 24 - 4
    values = torch.randint(0, 16, (rows, groups * 32), generator=generator, dtype=torch.uint8)
    if draw(st.booleans()):
        scales[0, 0] = 0
    if draw(st.booleans()):
        values[-1, -32:] = 3
    return QuantizedTensor(values, scales, zero_points, 4, 32, symmetric=False, exact_offsets=True)


@settings(deadline=None)
@given(asymmetric())
def test_scales_become_positive_and_weights_stay(tensor: QuantizedTensor) -> None:
    positive = with_positive_scales(tensor)
    assert (positive.scales > 0).all() and int(positive.values.max()) <= 15
    torch.testing.assert_close(positive.dequantize(), tensor.dequantize(), atol=1e-5, rtol=1e-5)


@settings(deadline=None)
@given(asymmetric(), st.integers(0, 2**16))
def test_symmetric_product_plus_offsets_of_group_sums_is_the_product(
    tensor: QuantizedTensor, seed: int
) -> None:
    rows, columns = tensor.shape
    inputs = torch.randn(columns, generator=torch.Generator().manual_seed(seed))
    positive = with_positive_scales(tensor)
    symmetric = (positive.values.view(rows, -1, 32).float() - 8) * positive.scales[..., None]
    offsets = offset_matrix(positive, subject="w")
    sums = inputs.view(-1, 32).sum(1)
    product = symmetric.view(rows, columns) @ inputs + offsets.dequantize() @ sums

    step = offsets.scales[:, 0]
    error = (product - tensor.dequantize() @ inputs).abs()
    assert (error <= 0.51 * step * sums.abs().sum() + 1e-4).all()


def test_a_group_of_one_level_has_no_larger_offset_than_its_weights() -> None:
    # What gguf.blocks makes of a Q4_1 block of one constant: level 0, zero point -1, the constant as scale.
    tensor = QuantizedTensor(
        torch.zeros(1, 32, dtype=torch.uint8),
        torch.full((1, 1), 0.7),
        torch.full((1, 1), -1.0),
        4,
        32,
        symmetric=False,
        exact_offsets=True,
    )
    offsets = offset_matrix(with_positive_scales(tensor), subject="w").dequantize()
    torch.testing.assert_close(offsets, torch.full((1, 1), 0.7), atol=1e-3, rtol=0)
