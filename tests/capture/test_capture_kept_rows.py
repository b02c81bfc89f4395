"""Which attentions keep compressed rows or share a cache, and which must not."""

from __future__ import annotations

from typing import Any

import pytest

from toolkit.capture.graph import SEQUENCE, DecoderGraph, Op, Ref
from toolkit.capture.latent import LATENT, expanding_matrices, keep_latents
from toolkit.capture.shared_caches import cache_of, share_caches

HEADS, KEY_DIM, ROTARY_DIM, VALUE_DIM = 2, 8, 8, 16


def op(name: str, target: str, args: tuple[Any, ...], *shape: int | str) -> Op:
    return Op(name, target, args, {}, (1, *shape), "float32", "layers.0.attention")


def expanded_rows(latent_dim: int, *, bias: bool = False) -> DecoderGraph:
    """Keys and values of all heads out of one compressed row, as DeepSeek-V2 has them.

    Args:
        latent_dim: of the row.
        bias: the expanding linear has one.
    """
    width, keys, values = KEY_DIM + VALUE_DIM, KEY_DIM, KEY_DIM + ROTARY_DIM
    offset = (Ref("kv_b.bias"),) if bias else ()
    split = (1, SEQUENCE, HEADS, width)
    ops = (
        op("rows", "aten.slice", (Ref("input_ids"), 2, 0, latent_dim), SEQUENCE, latent_dim),
        op("rotated", "aten.slice", (Ref("input_ids"), 3, 0, ROTARY_DIM), 1, SEQUENCE, ROTARY_DIM),
        op("query", "aten.slice", (Ref("input_ids"), 3, 0, values), HEADS, SEQUENCE, values),
        op("kv", "aten.linear", (Ref("rows"), Ref("kv_b"), *offset), SEQUENCE, HEADS * width),
        op("kv.split", "aten.view", (Ref("kv"), split), *split[1:]),
        op("kv.heads", "aten.transpose", (Ref("kv.split"), 1, 2), HEADS, SEQUENCE, width),
        op("plain", "aten.slice", (Ref("kv.heads"), 3, 0, keys), HEADS, SEQUENCE, keys),
        op("value", "aten.slice", (Ref("kv.heads"), 3, keys, width), HEADS, SEQUENCE, VALUE_DIM),
        op("each", "aten.expand", (Ref("rotated"), (1, HEADS, SEQUENCE, ROTARY_DIM)), HEADS, SEQUENCE, 8),
        op("key", "aten.cat", ((Ref("plain"), Ref("each")), 3), HEADS, SEQUENCE, keys + ROTARY_DIM),
        attention("attended", 0, "key", "value"),
    )
    return DecoderGraph(
        ops, {"kv_b": (HEADS * width, latent_dim), "kv_b.bias": (HEADS * width,)}, {}, "attended"
    )


def attention(name: str, number: int, key: str, value: str) -> Op:
    args = (Ref("query"), Ref(key), Ref(value), number, 0.25, 0, 0.0, None, 0)
    return op(name, "slm.attention", args, SEQUENCE, HEADS, VALUE_DIM)


def test_compressed_rows_are_kept_instead_of_what_is_expanded_from_them() -> None:
    graph = keep_latents(expanded_rows(16))
    [found] = [one for one in graph.ops if one.target == "slm.attention"]
    assert found.kwargs[LATENT] == (16, KEY_DIM, VALUE_DIM)
    assert found.args[1] == found.args[2]
    assert graph.by_name[found.args[1].name].shape == (1, 1, SEQUENCE, 16 + ROTARY_DIM)
    assert expanding_matrices(graph) == ("kv_b",)


@pytest.mark.parametrize(
    "graph",
    [
        # A product with queries would leave it out.
        pytest.param(expanded_rows(16, bias=True), id="a bias"),
        # 20 + 8: no engine's attention takes heads 28 wide.
        pytest.param(expanded_rows(20), id="a row that is no multiple of 8"),
        # 56 + 8, as much as 2 heads' keys of 8 + 8 and values of 16.
        pytest.param(expanded_rows(56), id="a row as long as what it is expanded to"),
    ],
)
def test_keys_and_values_stay_expanded(graph: DecoderGraph) -> None:
    assert keep_latents(graph) == graph
    assert expanding_matrices(graph) == ()


def test_the_longest_row_that_is_shorter_than_what_it_is_expanded_to() -> None:
    [found] = [one for one in keep_latents(expanded_rows(48)).ops if one.target == "slm.attention"]
    assert found.kwargs[LATENT] == (48, KEY_DIM, VALUE_DIM)


def owners(*operands: tuple[str, str]) -> list[int | None]:
    """Of attentions over keys and values in order, whose cache each reads."""
    states = [
        op(name, "aten.slice", (Ref("input_ids"), 3, 0, 16), 2, SEQUENCE, 16) for name in ("k", "v", "w")
    ]
    tables = [
        op(f"table{number}", "slm.rope_table", (Ref("position_ids"), f"rope{number}", 16), SEQUENCE, 16)
        for number in range(2)
    ]
    turned = [
        op(
            f"turned{number}",
            "slm.rotary",
            (Ref("k"), Ref(f"table{number}"), Ref(f"table{number}")),
            2,
            SEQUENCE,
            16,
        )
        for number in range(2)
    ]
    padded = [
        op(f"padded{number}", "slm.pad", (Ref("k"), (0, width), 0.0), 2, SEQUENCE, 16 + width)
        for number, width in enumerate((8, 8, 16))
    ]
    attentions = [
        attention(f"attended{number}", number, key, value) for number, (key, value) in enumerate(operands)
    ]
    graph = share_caches(DecoderGraph((*states, *tables, *turned, *padded, *attentions), {}, {}, "attended0"))
    return [cache_of(one) for one in graph.ops if one.target == "slm.attention"]


@pytest.mark.parametrize(
    ("operands", "wanted"),
    [
        pytest.param((("k", "v"), ("k", "w"), ("k", "v")), [None, None, 0], id="other values"),
        pytest.param((("k", "v"), ("w", "v")), [None, None], id="other keys"),
        pytest.param((("turned0", "v"), ("turned1", "v")), [None, None], id="keys rotated apart"),
        pytest.param((("turned1", "v"), ("k", "v"), ("turned1", "v")), [None, None, 0], id="rotated and not"),
        pytest.param((("padded0", "v"), ("padded1", "v")), [None, 0], id="padded alike"),
        pytest.param((("padded0", "v"), ("padded2", "v")), [None, None], id="padded apart"),
    ],
)
def test_one_cache_for_the_same_keys_and_values_alone(
    operands: tuple[tuple[str, str], ...], wanted: list[int | None]
) -> None:
    assert owners(*operands) == wanted
