"""Schemes as values, and plans within what an engine says of itself."""

from __future__ import annotations

import dataclasses
from itertools import product

import pytest

from toolkit.compress.adaptation import adapt, check_supported
from toolkit.compress.groups import GROUP_SIZES, PER_CHANNEL
from toolkit.compress.plan import plan_from_flags
from toolkit.compress.presets import PRESETS
from toolkit.compress.schemes import SCHEMES
from toolkit.engines import ENGINES
from toolkit.engines.onnxruntime import ONNXRUNTIME
from toolkit.errors import UnknownScheme


@pytest.mark.parametrize(
    ("scheme", "weight_only", "dynamic", "eight_bit"),
    [
        ("8da4w", "4w", "8da4w", "8da8w"),
        ("4w", "4w", "8da4w", "8w"),
        ("8da8w", "8w", "8da8w", "8da8w"),
        ("8w", "8w", "8da8w", "8w"),
        ("fp16", "fp16", None, "fp16"),
    ],
)
def test_a_scheme_knows_its_relatives(
    scheme: str, weight_only: str, dynamic: str | None, eight_bit: str
) -> None:
    value = SCHEMES.get(scheme)
    assert value.weight_only.name == weight_only
    assert (value.dynamic.name if value.dynamic else None) == dynamic
    assert value.eight_bit.name == eight_bit


def test_onnx_runtime_takes_every_plan_as_it_is() -> None:
    assert set(ONNXRUNTIME.capabilities.linears) == set(SCHEMES)
    for quant, size, symmetric, tied in product(
        [*SCHEMES, *PRESETS, "source"], [None, *GROUP_SIZES, PER_CHANNEL], [None, True, False], [True, False]
    ):
        plan = plan_from_flags(quant, group_size=size, symmetric=symmetric, tied=tied)
        adapted = adapt(
            plan, ONNXRUNTIME.capabilities, keep_groups=size is not None, keep_grid=symmetric is not None
        )
        assert adapted == plan
        check_supported(adapted, ONNXRUNTIME)


def test_engines_speak_of_schemes_that_exist() -> None:
    for engine in ENGINES.values():
        assert {*engine.capabilities.linears, *engine.capabilities.embeddings} <= set(SCHEMES)


def test_an_engine_may_refuse_an_algorithm() -> None:
    picky = dataclasses.replace(
        ONNXRUNTIME, capabilities=dataclasses.replace(ONNXRUNTIME.capabilities, algorithms=("rtn",))
    )
    check_supported(plan_from_flags("8da4w", algorithm="rtn", tied=True), picky)
    check_supported(plan_from_flags("fp16", tied=True), picky)
    with pytest.raises(UnknownScheme, match="does not take matrices that hqq quantized"):
        check_supported(plan_from_flags("8da4w", algorithm="hqq", tied=True), picky)
