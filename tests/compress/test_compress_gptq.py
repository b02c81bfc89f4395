"""GPTQ: the outputs come closer, on the same grids."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from toolkit.artifact import TensorQuantization
from toolkit.compress.gptq import gptq
from toolkit.compress.plan import plan_from_flags
from toolkit.compress.quantize import quantize
from toolkit.errors import BadGroupSize, CompressError


def spec(scheme: str = "8da4w", *, symmetric: bool = False, group_size: int = 32) -> TensorQuantization:
    return TensorQuantization(
        scheme=scheme,
        group_size=group_size,
        symmetric=symmetric,
        algorithm="hqq",
        positive_scales=symmetric,
    )


def correlated_inputs(columns: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(columns, columns, generator=generator) * torch.rand(columns, generator=generator)
    return torch.randn(8 * columns, columns, generator=generator) @ mixing


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**16), st.booleans(), st.sampled_from([0, 32, 64]))
def test_outputs_are_closer_than_without_calibration(seed: int, symmetric: bool, group_size: int) -> None:
    weight = torch.randn(48, 192, generator=torch.Generator().manual_seed(seed))
    inputs = correlated_inputs(192, seed + 1)
    how = spec(symmetric=symmetric, group_size=group_size)
    errors = [
        ((tensor.dequantize() - weight) @ inputs.t()).square().mean()
        for tensor in (
            gptq(weight, inputs.t() @ inputs, how, subject="w"),
            quantize(weight, how, subject="w"),
        )
    ]
    assert errors[0] < 0.7 * errors[1]


def test_uncorrelated_inputs_leave_nothing_to_make_up_for() -> None:
    weight = torch.randn(16, 128, generator=torch.Generator().manual_seed(0))
    calibrated = gptq(weight, torch.eye(128), spec(), subject="w")
    plain = quantize(weight, spec(), subject="w")
    assert torch.equal(calibrated.values, plain.values)
    assert torch.equal(calibrated.scales, plain.scales)
    assert torch.equal(calibrated.zero_points, plain.zero_points)


def test_inputs_that_are_always_zero_do_no_harm() -> None:
    weight = torch.randn(16, 128, generator=torch.Generator().manual_seed(0))
    inputs = correlated_inputs(128, 1)
    inputs[:, 5::7] = 0
    tensor = gptq(weight, inputs.t() @ inputs, spec(), subject="w")
    assert (tensor.dequantize() - weight).abs().max() < 3


@pytest.mark.parametrize("damaged", ["weight", "hessian"])
def test_damaged_numbers_are_refused(damaged: str) -> None:
    weight, hessian = torch.ones(4, 64), torch.eye(64)
    {"weight": weight, "hessian": hessian}[damaged][3, 3] = float("nan")
    with pytest.raises(CompressError, match="NaN"):
        gptq(weight, hessian, spec(), subject="w")


def test_a_group_size_that_does_not_divide_is_refused() -> None:
    with pytest.raises(BadGroupSize, match="576"):
        gptq(torch.ones(4, 576), torch.eye(576), spec(group_size=128), subject="w")


def test_a_plan_knows_that_it_needs_calibration() -> None:
    assert plan_from_flags("8da4w", algorithm="gptq", tied=True).calibrated
    assert not plan_from_flags("8da4w", tied=True).calibrated


def test_a_table_of_its_own_has_no_inputs_to_calibrate_with() -> None:
    plan = plan_from_flags("8da4w", algorithm="gptq", tied=False)
    assert (plan.lm_head.algorithm, plan.embedding.algorithm) == ("gptq", "hqq")
    assert plan_from_flags("8da4w", algorithm="gptq", tied=True).embedding.algorithm == "gptq"
