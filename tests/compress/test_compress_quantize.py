"""Properties of every quantization algorithm, and the errors of ``quantize``."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from toolkit.artifact import TensorQuantization
from toolkit.compress.algorithms import ALGORITHMS
from toolkit.compress.floats import stored_floats
from toolkit.compress.hqq import half_quadratic, squared_error
from toolkit.compress.quantize import CHUNK_ELEMENTS, quantize
from toolkit.compress.rtn import round_to_nearest
from toolkit.compress.schemes import SCHEMES
from toolkit.errors import BadGroupSize, CompressError, UnknownScheme

# Relative rounding error of a scale stored in float16.
HALF_PRECISION = 2**-11


def spec(
    scheme: str = "8da4w", group_size: int = 32, symmetric: bool = True, algorithm: str = "rtn"
) -> TensorQuantization:
    return TensorQuantization(scheme=scheme, group_size=group_size, symmetric=symmetric, algorithm=algorithm)


@st.composite
def matrices(draw: st.DrawFn) -> torch.Tensor:
    """Weights of any magnitude, some with outliers, zero groups or one sign only."""
    rows, columns = draw(st.integers(1, 9)), 64 * draw(st.integers(1, 4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    weight = torch.randn(rows, columns, generator=generator) * 10.0 ** draw(st.integers(-6, 4))
    match draw(st.sampled_from(["plain", "outlier", "zeros", "positive", "constant"])):
        case "outlier":
            weight[0, 0] *= 1000
        case "zeros":
            weight[0, :64] = 0
        case "positive":
            weight.abs_()
        case "constant":
            weight[:] = weight[0, 0]
    return weight


quantizations = st.builds(
    spec,
    scheme=st.sampled_from(["8w", "8da4w"]),
    group_size=st.sampled_from([0, 16, 32, 64]),
    symmetric=st.booleans(),
    algorithm=st.sampled_from(list(ALGORITHMS)),
)


@settings(deadline=None)
@given(matrices(), quantizations)
def test_integers_and_zero_points_fit_their_bits(weight: torch.Tensor, how: TensorQuantization) -> None:
    tensor = quantize(weight, how, subject="w")
    rows, columns = weight.shape
    top = 2**tensor.bits - 1
    assert tensor.group_size == (how.group_size or columns)
    assert tensor.values.shape == weight.shape and tensor.values.dtype == torch.uint8
    assert tensor.scales.shape == tensor.zero_points.shape == (rows, columns // tensor.group_size)
    assert int(tensor.values.max()) <= top
    assert torch.isfinite(tensor.scales).all() and (tensor.scales != 0).all()
    assert torch.equal(tensor.zero_points, tensor.zero_points.round())
    assert tensor.zero_points.min() >= 0 and tensor.zero_points.max() <= top
    assert tensor.symmetric == how.symmetric and not tensor.exact_offsets
    if how.symmetric:
        assert (tensor.zero_points == 2 ** (tensor.bits - 1)).all()


@settings(deadline=None)
@given(matrices(), st.sampled_from([4, 8]), st.booleans())
def test_rtn_errs_by_half_a_step_at_most(weight: torch.Tensor, bits: int, symmetric: bool) -> None:
    tensor = quantize(weight, spec(f"{bits}w", symmetric=symmetric), subject="w")
    steps = tensor.scales.abs().repeat_interleave(tensor.group_size, dim=1)
    error = (tensor.dequantize() - weight).abs() / steps
    if symmetric:
        # The level that the positive end lacks: there the error is up to one step.
        clipped = tensor.values == 2**bits - 1
        assert (error[clipped] <= 1.001 + HALF_PRECISION * 2**bits).all()
        error = error[~clipped]
    # A scale rounded to half precision moves the ends of the grid.
    assert (error <= 0.501 + HALF_PRECISION * 2**bits).all()


@settings(deadline=None)
@given(matrices(), st.sampled_from([4, 8]), st.booleans())
def test_hqq_never_does_worse_than_rtn_in_its_own_objective(
    weight: torch.Tensor, bits: int, symmetric: bool
) -> None:
    groups = weight.reshape(-1, 32).t().contiguous()
    before = squared_error(groups, *round_to_nearest(groups, bits=bits, symmetric=symmetric))
    after = squared_error(groups, *half_quadratic(groups, bits=bits, symmetric=symmetric))
    assert (after <= before * (1 + 1e-5)).all()


def test_hqq_gains_on_ordinary_weights() -> None:
    weight = torch.randn(64, 256, generator=torch.Generator().manual_seed(0))
    errors = {
        name: (quantize(weight, spec(algorithm=name), subject="w").dequantize() - weight).square().mean()
        for name in ("rtn", "hqq")
    }
    assert errors["hqq"] < 0.95 * errors["rtn"]


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_weights_that_lie_on_a_grid_are_kept_exactly(algorithm: str) -> None:
    generator = torch.Generator().manual_seed(1)
    levels = torch.randint(0, 16, (8, 64), generator=generator)
    levels[:, ::32] = 0
    levels[:, 1::32] = 15
    weight = (levels - 6.0) * 0.25
    tensor = quantize(weight, spec(symmetric=False, algorithm=algorithm), subject="w")
    torch.testing.assert_close(tensor.dequantize(), weight)


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_a_row_does_not_depend_on_its_neighbours_or_its_chunk(algorithm: str) -> None:
    columns = 64
    rows = 3 * CHUNK_ELEMENTS // columns + 5
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(2))
    whole = quantize(weight, spec(algorithm=algorithm), subject="w")
    last = quantize(weight[-1:], spec(algorithm=algorithm), subject="w")
    assert torch.equal(whole.values[-1:], last.values)
    assert torch.equal(whole.scales[-1:], last.scales)


def test_half_precision_weights_give_the_integers_of_their_float32_copy() -> None:
    weight = torch.randn(16, 64, generator=torch.Generator().manual_seed(3)).to(torch.bfloat16)
    narrow = quantize(weight, spec(), subject="w")
    wide = quantize(weight.float(), spec(), subject="w")
    assert torch.equal(narrow.values, wide.values)


def test_torch_keeps_its_thread_count() -> None:
    before = torch.get_num_threads()
    quantize(torch.randn(4 * CHUNK_ELEMENTS // 64, 64), spec(), subject="w")
    assert torch.get_num_threads() == before


def test_group_size_that_does_not_divide_names_what_fits() -> None:
    with pytest.raises(BadGroupSize) as caught:
        quantize(torch.ones(4, 576), spec(group_size=128), subject="model.layers.3.mlp.up_proj.weight")
    message = str(caught.value)
    assert "model.layers.3.mlp.up_proj.weight" in message and "576" in message
    assert "16, 32, 64, 0" in message


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_damaged_weights_are_refused(bad: float) -> None:
    weight = torch.zeros(4, 64)
    weight[3, 63] = bad
    with pytest.raises(CompressError, match="NaN or infinity"):
        quantize(weight, spec(), subject="w")


@pytest.mark.parametrize("scheme", ["fp32", "fp16"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_damaged_weights_that_stay_floats_are_refused(bad: float, scheme: str) -> None:
    weight = torch.zeros(4, 64)
    weight[3, 63] = bad
    with pytest.raises(CompressError, match="NaN or infinity"):
        stored_floats(weight, SCHEMES.get(scheme), subject="w")


def test_weights_beyond_half_precision_are_refused_in_it_alone() -> None:
    weight = torch.full((4, 64), -70_000.0)
    with pytest.raises(CompressError, match="reach 7e\\+04, which fp16 cannot hold"):
        stored_floats(weight, SCHEMES.get("fp16"), subject="w")
    assert (stored_floats(weight, SCHEMES.get("fp32"), subject="w") == -70_000.0).all()
    assert (stored_floats(weight / 2, SCHEMES.get("fp16"), subject="w") == -35_000.0).all()


def test_only_matrices_are_quantized() -> None:
    with pytest.raises(CompressError, match=r"shape \[64\]"):
        quantize(torch.ones(64), spec(), subject="norm.weight")


def test_float_schemes_have_nothing_to_quantize() -> None:
    with pytest.raises(UnknownScheme, match="keeps floats"):
        quantize(torch.ones(4, 64), spec("fp16"), subject="w")


def test_unknown_algorithm_is_met_with_a_near_one() -> None:
    with pytest.raises(UnknownScheme, match="Did you mean 'hqq'"):
        quantize(torch.ones(4, 64), spec(algorithm="hqqq"), subject="w")
