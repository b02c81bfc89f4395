from __future__ import annotations

from typing import Any

import pytest

from toolkit.errors import UsageError
from toolkit.recipes.matrix import conversions, profile_runs
from toolkit.recipes.schema import Convert, Profile


def convert(**fields: Any) -> Convert:
    return Convert.model_validate({"model": "random:llama-tiny", **fields})


def profile(**fields: Any) -> Profile:
    return Profile.model_validate(fields)


def test_every_combination_once_in_the_order_of_the_axes() -> None:
    found = conversions(convert(backend=["onnxruntime", "executorch"], quant=["8da4w", "8da8w"]))
    assert [(one.request.backend, one.request.quant) for one in found] == [
        ("onnxruntime", "8da4w"),
        ("onnxruntime", "8da8w"),
        ("executorch", "8da4w"),
        ("executorch", "8da8w"),
    ]


def test_schemes_that_keep_floats_have_no_groups() -> None:
    found = conversions(convert(quant=["fp16", "8da4w"], group_size=[32, 64], algorithm=["rtn", "hqq"]))
    assert [one.request.quant for one in found] == ["fp16"] + 4 * ["8da4w"]


def test_a_float_scheme_with_a_quantized_vocabulary_keeps_its_groups() -> None:
    assert len(conversions(convert(quant="fp16", lm_head="8w", group_size=[32, 64]))) == 2


def test_exclude_takes_out_what_has_all_of_its_values() -> None:
    found = conversions(
        convert(
            backend=["onnxruntime", "executorch"],
            quant=["8da4w", "4w", "fp16"],
            exclude=[{"backend": "executorch", "quant": ["4w", "fp16"]}],
        )
    )
    assert [
        (one.request.backend, one.request.quant) for one in found if one.request.backend == "executorch"
    ] == [("executorch", "8da4w")]
    assert len(found) == 4


def test_include_adds_combinations_at_the_first_value_of_other_axes() -> None:
    found = conversions(
        convert(
            quant=["8da4w", "fp16"], context=[128, 256], include=[{"quant": "8w", "group_size": [16, 32]}]
        )
    )
    added = [one.request for one in found[4:]]
    assert [(one.quant, one.group_size, one.context) for one in added] == [
        ("8w", 16, 128),
        ("8w", 32, 128),
    ]


def test_null_in_an_include_or_exclude_is_the_flag_that_is_not_given() -> None:
    found = conversions(
        convert(
            quant=["8da4w"],
            group_size=[16, None],
            include=[{"quant": "8w", "group_size": None}],
            exclude=[{"quant": "8da4w", "group_size": None}],
        )
    )
    assert [(one.request.quant, one.request.group_size) for one in found] == [("8da4w", 16), ("8w", None)]


def test_excludes_of_profile_runs_may_name_what_was_converted() -> None:
    converted = conversions(convert(quant=["8da4w", "fp16"]))
    found = profile_runs(profile(threads=[1, 2], exclude=[{"quant": "fp16", "threads": 2}]), converted)
    assert [(run.conversion.request.quant, run.request.threads) for run in found] == [
        ("8da4w", 1),
        ("8da4w", 2),
        ("fp16", 1),
    ]


def test_includes_of_profile_runs_may_be_for_some_conversions_only() -> None:
    converted = conversions(convert(quant=["8da4w", "fp16"]))
    found = profile_runs(profile(depth=0, include=[{"quant": "8da4w", "depth": [128, 256]}]), converted)
    assert [(run.conversion.request.quant, run.request.depth) for run in found] == [
        ("8da4w", 0),
        ("8da4w", 128),
        ("8da4w", 256),
        ("fp16", 0),
    ]


def test_rounds_are_runs_of_their_own() -> None:
    found = profile_runs(profile(rounds=3), conversions(convert()))
    assert [run.round for run in found] == [1, 2, 3]
    assert len({run.label for run in found}) == 3


def test_runs_in_the_shell_have_no_app_state() -> None:
    converted = conversions(convert())
    runs = profile_runs(profile(runner=["shell", "app"], app_state=["activity", "service"]), converted)
    assert [(one.request.runner, one.request.app_state) for one in runs] == [
        ("shell", "activity"),
        ("app", "activity"),
        ("app", "service"),
    ]
    # Without a run in the app the state was meant for none.
    with pytest.raises(UsageError, match="with --runner app"):
        profile_runs(profile(app_state="service"), converted)
