from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from toolkit.models.layers import (
    Attention,
    FeedForward,
    LatentAttention,
    Layer,
    Mixer,
    MixtureOfExperts,
    Recurrence,
    ShortConvolution,
    attention_of,
    plain_layers,
    states_bytes,
    states_of,
    states_read_bytes,
)

GATED = FeedForward(kind="gated", intermediate_size=64, activation="silu")


def layer(index: int, *mixers: Mixer) -> Layer:
    states = tuple(state for mixer in mixers for state in mixer.states(index))
    return Layer(mixers=mixers, feed_forward=GATED, states=states)


def test_a_kv_cache_has_the_published_size() -> None:
    # Llama 2 7B: 0.5 MB per token in fp16, 2 GiB at 4,096 (2 x 32 layers x 4,096 x 2 bytes), here in fp32.
    layers = plain_layers(32, heads=32, kv_heads=32, head_dim=128)
    assert states_bytes(layers, 4096) == 4 * 2**30
    assert all(state.grows for state in states_of(layers))
    assert states_bytes(layers, 0) == 0
    assert states_bytes(layers, 10, batch=3) == 3 * states_bytes(layers, 10)


def test_heads_may_differ_by_layer() -> None:
    # OpenELM-270M's first, middle and last layer.
    heads = {0: (12, 3), 8: (16, 4), 15: (20, 5)}
    layers = [
        layer(index, Attention(heads=h, kv_heads=kv, head_dim=64, value_dim=64))
        for index, (h, kv) in heads.items()
    ]
    assert [one.kv_heads for one in attention_of(layers)] == [3, 4, 5]
    assert states_bytes(layers, 7) == 2 * (3 + 4 + 5) * 64 * 7 * 4


def test_a_layer_that_shares_a_cache_keeps_none() -> None:
    own = Attention(heads=8, kv_heads=2, head_dim=256, value_dim=256)
    sharing = own.model_copy(update={"shares_cache_of": 0})
    assert [state.name for state in states_of([layer(0, own), layer(1, sharing)])] == ["0.key", "0.value"]


def test_a_step_reads_a_shared_cache_once_for_each_reader() -> None:
    wide = Attention(heads=8, kv_heads=2, head_dim=256, value_dim=256)
    narrow = wide.model_copy(update={"kv_heads": 1, "window": 512})
    layers = [
        layer(0, narrow),
        layer(1, wide),
        layer(2, narrow.model_copy(update={"shares_cache_of": 0, "window": 128})),
        layer(3, wide.model_copy(update={"shares_cache_of": 1})),
    ]
    # Keys and values, 256 wide, float32; each layer through its own window.
    row = 2 * 256 * 4
    assert states_bytes(layers, 1000) == row * (1000 + 2 * 1000)
    assert states_read_bytes(layers, 1000) == row * (512 + 2 * 1000 + 128 + 2 * 1000)
    assert states_read_bytes(layers, 100) == row * 100 * (1 + 2 + 1 + 2)


def test_latent_attention_keeps_one_row_per_token() -> None:
    # DeepSeek-V2-Lite: 512 + 64 elements per token and layer, whatever the number of heads.
    mla = LatentAttention(heads=16, latent_dim=512, rotary_dim=64, head_dim=128, value_dim=128)
    assert states_bytes([layer(0, mla)], 1) == (512 + 64) * 4


def test_convolutions_and_recurrences_do_not_grow() -> None:
    # Mamba-130M: convolutions over 4 tokens of 1,536 channels and a state of 16 for each.
    hybrid = layer(
        0,
        ShortConvolution(channels=1536, width=4),
        Recurrence(variant="mamba", heads=1536, state_shape=(16,)),
    )
    assert not any(state.grows for state in hybrid.states)
    assert states_bytes([hybrid], 1) == states_bytes([hybrid], 1000) == (1536 * 3 + 1536 * 16) * 4


def test_half_and_int8_caches_are_sized_by_their_type() -> None:
    attention = Attention(heads=4, kv_heads=2, head_dim=8, value_dim=8)
    sizes = [
        sum(s.size_bytes(5) for s in attention.states(0, dtype)) for dtype in ("float32", "float16", "int8")
    ]
    assert sizes == [640, 320, 160]


@pytest.mark.parametrize(
    "feed_forward",
    [
        GATED,
        None,
        MixtureOfExperts(experts=60, experts_per_token=4, shared_experts=4, intermediate_size=1408),
    ],
)
def test_every_kind_survives_json(feed_forward: FeedForward | MixtureOfExperts | None) -> None:
    mixers = (
        Attention(heads=4, kv_heads=2, head_dim=8, value_dim=6, window=16, rotary_dim=4),
        LatentAttention(heads=4, latent_dim=16, rotary_dim=4, head_dim=8, value_dim=8),
        ShortConvolution(channels=32, width=3),
        Recurrence(variant="rwkv7", heads=4, state_shape=(8, 8)),
    )
    one = layer(3, *mixers).model_copy(update={"feed_forward": feed_forward})
    adapter = TypeAdapter(tuple[Layer, ...])
    assert adapter.validate_json(adapter.dump_json((one,))) == (one,)
