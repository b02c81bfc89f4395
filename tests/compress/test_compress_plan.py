"""Plans made from the CLI's flags."""

from __future__ import annotations

import pytest

from toolkit.compress.plan import for_model, plan_from_flags
from toolkit.compress.presets import PRESETS
from toolkit.compress.schemes import SCHEMES
from toolkit.errors import BadGroupSize, CompressError, UnknownScheme
from toolkit.models.shape import Part


def test_a_scheme_holds_for_linears_and_lm_head_and_the_embedding_drops_activations() -> None:
    plan = plan_from_flags("8da4w", group_size=64, algorithm="rtn", symmetric=False, tied=False)
    assert plan.linear.model_dump() == {
        "scheme": "8da4w",
        "group_size": 64,
        "symmetric": False,
        "algorithm": "rtn",
        "positive_scales": False,
    }
    assert plan.lm_head == plan.linear
    assert plan.embedding == plan.linear.model_copy(update={"scheme": "4w"})
    assert plan.preset is None and plan.carry_over == "nothing"


@pytest.mark.parametrize("scheme", ["fp32", "fp16"])
def test_float_schemes_carry_no_groups(scheme: str) -> None:
    plan = plan_from_flags(scheme, group_size=64, tied=True)
    assert {plan.linear.scheme, plan.embedding.scheme, plan.lm_head.scheme} == {scheme}
    assert plan.linear.group_size is None


@pytest.mark.parametrize("quant", [*SCHEMES, *PRESETS, "source"])
@pytest.mark.parametrize("tied", [True, False])
def test_every_scheme_and_preset_makes_a_plan(quant: str, tied: bool) -> None:
    plan = plan_from_flags(quant, tied=tied)
    assert plan.preset == (quant if quant in PRESETS else None)
    assert (plan.carry_over == "all") == (quant == "source")


def test_tied_lm_head_follows_the_embedding() -> None:
    plan = plan_from_flags("8da4w", embedding="8w", tied=True)
    assert (plan.embedding.scheme, plan.lm_head.scheme) == ("8w", "8da8w")
    assert plan.linear.scheme == "8da4w"


def test_tied_embedding_follows_the_lm_head() -> None:
    plan = plan_from_flags("8da4w", lm_head="8da8w", tied=True)
    assert (plan.embedding.scheme, plan.lm_head.scheme) == ("8w", "8da8w")


def test_untied_matrices_keep_schemes_of_their_own() -> None:
    plan = plan_from_flags("8da4w", embedding="8w", tied=False)
    assert (plan.embedding.scheme, plan.lm_head.scheme) == ("8w", "8da4w")


@pytest.mark.parametrize(("embedding", "lm_head"), [("8w", "8da4w"), ("fp16", "8w"), ("fp32", "fp16")])
def test_tied_matrices_refuse_schemes_that_store_other_integers(embedding: str, lm_head: str) -> None:
    with pytest.raises(CompressError, match="tied") as caught:
        plan_from_flags("8da4w", embedding=embedding, lm_head=lm_head, tied=True)
    assert embedding in str(caught.value) and lm_head in str(caught.value)


def test_unknown_scheme_is_met_with_a_near_one() -> None:
    with pytest.raises(UnknownScheme, match="Did you mean '8da8w'") as caught:
        plan_from_flags("4da8w", tied=True)
    assert "source" in str(caught.value)


@pytest.mark.parametrize("flag", ["embedding", "lm_head"])
def test_unknown_scheme_of_the_vocabulary_is_refused(flag: str) -> None:
    with pytest.raises(UnknownScheme, match="9w"):
        plan_from_flags("8da4w", tied=False, **{flag: "9w"})  # type: ignore[arg-type]


def test_unknown_algorithm_is_refused_before_any_tensor_is_read() -> None:
    with pytest.raises(UnknownScheme, match="rtm"):
        plan_from_flags("8da4w", algorithm="rtm", tied=True)


@pytest.mark.parametrize("group_size", [8, 48, 512, -32])
def test_group_sizes_that_no_engine_takes_are_refused(group_size: int) -> None:
    with pytest.raises(BadGroupSize, match=str(group_size)):
        plan_from_flags("8da4w", group_size=group_size, tied=True)


def test_mobile_preset_keeps_sensitive_linears_in_8_bits_whatever_they_are_called() -> None:
    parts: dict[str, Part] = {"h.0.attn.c_attn.weight": "value", "h.1.mlp.c_proj.weight": "last_down"}
    plan = for_model(plan_from_flags("mobile-4bit", tied=True), parts)
    assert {plan.spec_for(name, "linear").scheme for name in parts} == {"8da8w"}
    assert plan.spec_for("h.0.mlp.c_proj.weight", "linear").scheme == "8da4w"
    # A plan without parts treats none apart.
    assert not for_model(plan_from_flags("8da4w", tied=True), parts).overrides


def test_overrides_touch_linears_only() -> None:
    plan = for_model(plan_from_flags("mobile-4bit", tied=False), {"some.weight": "value"})
    assert plan.spec_for("some.weight", "lm_head") == plan.lm_head
    assert plan.spec_for("some.weight", "embedding") == plan.embedding


def test_flags_adjust_a_preset() -> None:
    plan = plan_from_flags("mobile-4bit", group_size=64, algorithm="rtn", embedding="8w", tied=True)
    override = for_model(plan, {"v_proj.weight": "value"}).spec_for("v_proj.weight", "linear")
    assert (override.scheme, override.group_size, override.algorithm) == ("8da8w", 64, "rtn")
    assert (plan.linear.scheme, plan.linear.group_size) == ("8da4w", 64)
    assert (plan.embedding.scheme, plan.lm_head.scheme) == ("8w", "8da8w")


def test_parts_in_eight_bits_win_over_a_presets_own() -> None:
    parts: dict[str, Part] = {"v": "value", "d0": "down", "d1": "last_down"}
    plain = for_model(plan_from_flags("8da4w", tied=True), parts)
    wide = for_model(plan_from_flags("8da4w", eight_bit=("down",), tied=True), parts)
    bits = {name: SCHEMES.get(wide.spec_for(name, "linear").scheme).weight_bits for name in (*parts, "q")}
    assert bits == {"v": 4, "d0": 8, "d1": 8, "q": 4}, "the last way back is one of the ways back"
    assert wide.spec_for("d0", "linear").group_size == plain.linear.group_size
    preset = for_model(plan_from_flags("mobile-4bit", eight_bit=("down",), tied=True), parts)
    assert SCHEMES.get(preset.spec_for("v", "linear").scheme).weight_bits == 8, "the preset's own stays"
    assert not preset.spec_for("d1", "linear").symmetric, "asked for: as the linears, with more bits"


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(UnknownScheme, match="value"):
        plan_from_flags("8da4w", eight_bit=("values",), tied=True)
