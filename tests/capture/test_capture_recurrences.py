"""What stands for the functions and modules of transformers that keep states."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
from torch import nn
from transformers import AutoConfig

from toolkit.capture.capture import capture
from toolkit.capture.recurrences import function_replacements, module_replacement
from toolkit.capture.skeleton import build_skeleton
from toolkit.errors import UnsupportedModel

SCAN, CHUNKS, DELTA = "mamba_selective_scan", "mamba2_chunk_scan", "torch_chunk_gated_delta_rule"


def modeling(family: str) -> ModuleType:
    return importlib.import_module(f"transformers.models.{family}.modeling_{family}")


@pytest.mark.parametrize(
    ("family", "function"),
    [
        ("lfm2", None),
        *((family, SCAN) for family in ("mamba", "falcon_mamba", "jamba", "zamba")),
        *((family, CHUNKS) for family in ("mamba2", "bamba", "zamba2", "nemotron_h", "falcon_h1")),
        *((family, DELTA) for family in ("qwen3_next", "qwen3_5", "olmo_hybrid")),
        ("kimi_linear", "chunk_kimi_delta_attention"),
    ],
)
def test_functions_of_every_family_agree_with_what_stands_for_them(family: str, function: str | None) -> None:
    found = dict(function_replacements(modeling(family)))
    assert set(found) == {"causal_conv1d_fn", function} - {None}


def test_a_mean_that_fades_agrees_with_what_stands_for_it() -> None:
    assert set(dict(function_replacements(modeling("rwkv")))) == {"rwkv_linear_attention"}


def test_only_the_shift_by_one_token_is_taken_of_paddings() -> None:
    assert module_replacement(nn.ZeroPad2d((0, 0, 2, -2))) is None
    module = nn.ZeroPad2d((0, 0, 1, -1))
    replacement = module_replacement(module)
    assert replacement is not None
    hidden = torch.randn(1, 9, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(replacement(hidden), module(hidden))


def test_a_function_that_does_something_else_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = modeling("lfm2")
    original = owner.causal_conv1d_fn
    monkeypatch.setattr(owner, "causal_conv1d_fn", lambda *args, **kwargs: original(*args, **kwargs) * 1.01)
    assert list(function_replacements(owner)) == []


def convolutions() -> Iterator[nn.Conv1d]:
    for groups, padding, dilation in ((1, 3, 1), (6, 1, 1), (6, 3, 2), (6, 0, 1)):
        yield nn.Conv1d(6, 6, 4, groups=groups, padding=padding, dilation=dilation)


def test_only_causal_depthwise_convolutions_are_taken() -> None:
    assert [module_replacement(module) for module in convolutions()] == [None] * 4
    module = nn.Conv1d(6, 6, 4, groups=6, padding=3)
    replacement = module_replacement(module)
    assert replacement is not None
    hidden = torch.randn(1, 6, 9, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(replacement(hidden), module(hidden)[..., :9], atol=1e-6)


def test_a_recurrence_without_an_operator_is_named() -> None:
    config = AutoConfig.for_model("xlstm", num_blocks=1, hidden_size=64, num_heads=2, vocab_size=32)
    with pytest.raises(UnsupportedModel, match="'xlstm' keeps the matrix memory"):
        capture(build_skeleton(config), config)
