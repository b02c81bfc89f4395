"""What is read from captured graphs, against what their configs say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from toolkit.capture.cached import cached_capture
from toolkit.capture.description import describe
from toolkit.capture.graph import SEQUENCE, DecoderGraph, Op, Ref
from toolkit.capture.patches import register_attention
from toolkit.capture.skeleton import build_skeleton
from toolkit.models.layers import (
    Attention,
    FeedForward,
    LatentAttention,
    MixtureOfExperts,
    Recurrence,
    ShortConvolution,
    attention_of,
    states_of,
)
from toolkit.settings import Settings
from toolkit.sources import resolve

GELU, SILU = "gelu_tanh", "silu"


def captured(name: str, folder: Path) -> tuple[Any, DecoderGraph]:
    source = resolve(f"random:{name}", Settings(folder, folder, "sqlite://"))
    register_attention()
    graph, _ = cached_capture(build_skeleton(source.config), source.config, folder)
    return source.config, graph


@pytest.mark.parametrize(
    ("name", "kind", "intermediate", "activation", "kv_heads", "windows"),
    [
        ("llama-tiny", "gated", 128, SILU, 2, [None, None]),
        ("phi3-tiny", "gated", None, SILU, 2, [None, None]),
        ("gemma3-tiny", "gated", 128, GELU, 2, [16, 16, None]),
        ("gpt2-tiny", "dense", 4 * 64, GELU, 4, [None, None]),
    ],
)
def test_every_layer_is_as_the_config_says(
    name: str,
    kind: str,
    intermediate: int | None,
    activation: str,
    kv_heads: int,
    windows: list[int | None],
    tmp_path: Path,
) -> None:
    config, graph = captured(name, tmp_path)
    layers = describe(graph)
    assert len(layers) == config.num_hidden_layers
    rotary = 0 if name == "gpt2-tiny" else 16
    assert attention_of(layers) == tuple(
        Attention(heads=4, kv_heads=kv_heads, head_dim=16, value_dim=16, window=window, rotary_dim=rotary)
        for window in windows
    )
    width = intermediate or config.intermediate_size
    assert {layer.feed_forward for layer in layers} == {
        FeedForward.model_validate({"kind": kind, "intermediate_size": width, "activation": activation})
    }
    assert [state.name for state in states_of(layers)] == [
        f"{index}.{half}" for index in range(len(layers)) for half in ("key", "value")
    ]
    assert {state.shape for state in states_of(layers)} == {("batch", kv_heads, "text", 16)}


def _attention(layer: int, kv_heads: int, head_dim: int, window: int) -> list[Op]:
    module = f"decoder.blocks.{layer}.attn"
    shapes = {"q": (1, 8, SEQUENCE, head_dim), "k": (1, kv_heads, SEQUENCE, head_dim)}
    shapes["v"] = shapes["k"]
    operands = [
        Op(f"{name}{layer}", "aten.transpose", (Ref("input_ids"), 1, 2), {}, shape, "float32", module)
        for name, shape in shapes.items()
    ]
    references = tuple(Ref(op.name) for op in operands)
    args = (*references, layer, 0.1, window, 0.0)
    shape = (1, SEQUENCE, 8, head_dim)
    return [*operands, Op(f"attention{layer}", "slm.attention", args, {}, shape, "float32", module)]


def test_heads_sizes_and_windows_by_layer() -> None:
    wanted = [(1, 64, 0), (8, 32, 5), (2, 128, 7)]
    ops = [op for layer, sizes in enumerate(wanted) for op in _attention(layer, *sizes)]
    layers = describe(DecoderGraph(tuple(ops), {}, {}, ops[-1].name))
    found = attention_of(layers)
    assert [(one.kv_heads, one.head_dim, one.window or 0) for one in found] == wanted
    assert [one.rotary_dim for one in found] == [0, 0, 0]
    # Without a linear there is no feed-forward.
    assert [layer.feed_forward for layer in layers] == [None] * 3


def test_the_product_of_a_projection_with_its_own_sigmoid_is_not_gated() -> None:
    module = "h.0.mlp"
    shape = (1, SEQUENCE, 32)
    up = Op("up", "aten.linear", (Ref("input_ids"), Ref("up.weight")), {}, shape, "float32", module)
    sigmoid = Op("sigmoid", "aten.sigmoid", (Ref("up"),), {}, shape, "float32", module)
    product = Op("product", "aten.mul", (Ref("up"), Ref("sigmoid")), {}, shape, "float32", module)
    down = Op(
        "down", "aten.linear", (Ref("product"), Ref("down.weight")), {}, (1, SEQUENCE, 8), "float32", module
    )
    ops = [*_attention_in("h", 1), up, sigmoid, product, down]
    graph = DecoderGraph(tuple(ops), {"up.weight": (32, 8), "down.weight": (8, 32)}, {}, "down")
    [layer] = describe(graph)
    assert layer.feed_forward == FeedForward(kind="dense", intermediate_size=32, activation="sigmoid")


def _attention_in(container: str, kv_heads: int) -> list[Op]:
    from dataclasses import replace

    return [replace(op, module=f"{container}.0.attn") for op in _attention(0, kv_heads, 16, 0)]


def test_a_mixture_of_experts_is_as_the_config_says(tmp_path: Path) -> None:
    _, graph = captured("tests/families/configs/qwen2_moe.json", tmp_path)
    assert {layer.feed_forward for layer in describe(graph)} == {
        MixtureOfExperts(
            experts=4, experts_per_token=2, shared_experts=2, intermediate_size=64, activation="silu"
        )
    }


def _described(name: str, folder: Path) -> tuple[Any, ...]:
    config = Path(__file__).parents[1] / "families" / "configs" / f"{name}.json"
    return describe(captured(str(config), folder)[1])


def test_layers_that_read_another_ones_keys_and_values_keep_none(tmp_path: Path) -> None:
    layers = _described("gemma4_text-shared", tmp_path)
    # Of four layers the last two share, each with the last one before them that has the same window.
    assert [(one.window, one.shares_cache_of) for one in attention_of(layers)] == [
        (8, None),
        (None, None),
        (8, 0),
        (None, 1),
    ]
    assert [state.name for state in states_of(layers)] == ["0.key", "0.value", "1.key", "1.value"]


# One turns halves, the other one pairs, and its values are narrower.
@pytest.mark.parametrize(("name", "value_dim"), [("minicpm3", 32), ("deepseek_v2-groups", 24)])
def test_latent_attention_is_as_the_config_says(tmp_path: Path, name: str, value_dim: int) -> None:
    mixer = LatentAttention(heads=4, latent_dim=32, rotary_dim=16, head_dim=32, value_dim=value_dim)
    assert {layer.mixers for layer in _described(name, tmp_path)} == {(mixer,)}


def test_convolutions_and_recurrences_are_mixers_with_states_of_fixed_size(tmp_path: Path) -> None:
    layers = _described("bamba", tmp_path)
    inner, columns = 8 * 32, 16
    mixers = (
        ShortConvolution(channels=inner + 2 * columns, width=4),
        Recurrence(variant="mamba2", heads=8, state_shape=(columns, 32)),
    )
    assert [layer.mixers for layer in (layers[0], layers[2])] == [mixers, mixers]
    assert [state.name for state in states_of(layers)] == [
        *("0.convolution", "0.recurrence", "1.key", "1.value", "2.convolution", "2.recurrence")
    ]
    # As the config has it; the projections around a recurrence are none.
    assert {layer.feed_forward for layer in layers} == {
        FeedForward(kind="gated", intermediate_size=256, activation="silu")
    }


def test_a_layer_that_is_a_recurrence_alone_has_no_feed_forward(tmp_path: Path) -> None:
    assert [layer.feed_forward for layer in _described("mamba", tmp_path)] == [None] * 3


# Numbers of attentions that layers share are none of layers; states keep their names.
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        # attn_layer_period 3 and attn_layer_offset 2 of six layers.
        ("zamba", {2: ["0.key", "0.value"], 5: ["1.key", "1.value"]}),
        # "hybrid" is the second one of three.
        ("zamba2", {1: ["-1.key", "-1.value"]}),
    ],
)
def test_an_attention_that_layers_share_is_in_those_that_run_it(
    name: str, wanted: dict[int, list[str]], tmp_path: Path
) -> None:
    layers = _described(name, tmp_path)
    assert len(layers) == {"zamba": 6, "zamba2": 3}[name]
    kept = {index: [state.name for state in layer.states] for index, layer in enumerate(layers)}
    halves = {
        index: [name for name in names if name.endswith((".key", ".value"))] for index, names in kept.items()
    }
    assert {index: names for index, names in halves.items() if names} == wanted
    assert all(f"{index}.recurrence" in names for index, names in kept.items())
