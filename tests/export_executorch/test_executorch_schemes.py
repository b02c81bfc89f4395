"""What the backend refuses, and what it makes of presets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from toolkit.cli.main import app
from toolkit.compress.adaptation import adapt, check_supported
from toolkit.compress.plan import plan_from_flags
from toolkit.engines.executorch import EXECUTORCH
from toolkit.errors import UnknownScheme

XNNPACK = EXECUTORCH.capabilities


@pytest.mark.parametrize(
    ("quant", "flags", "reason"),
    [
        ("fp16", {}, "no fp16 linears"),
        ("8da8w", {"group_size": 32}, "no 8da8w linears with group size 32"),
        ("4w", {"group_size": 32}, "no 4w linears with group size 32"),
        ("8da4w", {"group_size": 16}, "no 8da4w linears with group size 16"),
        ("8da8w", {"symmetric": False}, "asymmetric linears in groups only"),
        ("8da4w", {"symmetric": False, "group_size": 0}, "asymmetric linears in groups only"),
        ("source", {}, "cannot keep all of a GGUF file's integers"),
        ("8da4w", {"embedding": "fp16"}, "no fp16 embedding"),
    ],
)
def test_what_xnnpack_lacks_is_refused_with_what_it_has(
    quant: str, flags: dict[str, Any], reason: str
) -> None:
    plan = plan_from_flags(quant, **flags, tied=False)
    plan = adapt(plan, XNNPACK, keep_groups="group_size" in flags, keep_grid="symmetric" in flags)
    with pytest.raises(UnknownScheme, match=reason) as caught:
        check_supported(plan, EXECUTORCH)
    assert "8da4w (group size 32 64 128 256 0)" in str(caught.value)


@pytest.mark.parametrize("quant", ["fp32", "8w", "8da8w", "4w", "8da4w", "mobile-4bit", "mobile-8bit"])
def test_names_alone_are_adapted(quant: str) -> None:
    plan = plan_from_flags(quant, tied=True)
    check_supported(adapt(plan, XNNPACK, keep_groups=False, keep_grid=False), EXECUTORCH)


def test_a_vocabulary_in_finer_groups_than_there_are_gets_eight_bits() -> None:
    plan = adapt(plan_from_flags("mobile-4bit", tied=True), XNNPACK, keep_groups=False, keep_grid=False)
    assert (plan.lm_head.scheme, plan.embedding.scheme) == ("8da8w", "8w")
    assert plan.lm_head.group_size == plan.embedding.group_size == 0
    assert plan.lm_head.symmetric and plan.embedding.symmetric


def test_asymmetric_groups_stay_as_they_are_asked_for() -> None:
    plan = plan_from_flags("8da4w", symmetric=False, tied=True)
    adapted = adapt(plan, XNNPACK, keep_groups=False, keep_grid=True)
    check_supported(adapted, EXECUTORCH)
    assert adapted == plan


def test_refusal_comes_before_the_model_is_looked_for(tmp_path: Path) -> None:
    target = tmp_path / "out"
    arguments = ["convert", "no/such-model", "--backend", "executorch", "--quant", "fp16", "-o", str(target)]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, UnknownScheme) and not target.exists()
