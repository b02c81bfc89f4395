"""Shares of the roofs, on a stored run whose bytes and operations are counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from stored_runs import stored_run

from toolkit.analysis.roofline import roofline_share
from toolkit.cli.results.run_table import roofline_words
from toolkit.models.layers import attention_of, plain_layers
from toolkit.store import Store
from toolkit.store.rooflines import add_roofline, roofline_of
from toolkit.store.rows import DeviceRoofline, StoredRun

LAYERS = plain_layers(2, heads=4, kv_heads=2, head_dim=8, window=None, intermediate_size=64)
MANIFEST: dict[str, Any] = {
    "work": {"decode_weights_bytes": 80_000_000, "prefill_flops_per_token": 200_000_000},
    "architecture": {"layers": [layer.model_dump(mode="json") for layer in LAYERS]},
}


def roof(run: StoredRun, at: int, bandwidth: int = 10_000_000_000) -> DeviceRoofline:
    return DeviceRoofline(
        device_key=run.device.key,
        created_unix_ns=at,
        runner_version="0.1.0",
        kernels="own:avx2",
        buffer_bytes=1 << 28,
        passes=7,
        points={
            "threads": [1, 2, 4],
            "read_bytes_per_second": [bandwidth // 2, bandwidth, 4 * bandwidth],
            "int8_ops_per_second": [100_000_000_000, 200_000_000_000, 400_000_000_000],
            "float_ops_per_second": [25_000_000_000, 50_000_000_000, 100_000_000_000],
        },
    )


def kept(store: Store, manifest: dict[str, Any], **changes: Any) -> StoredRun:
    run = stored_run(emulated=False, **changes)
    store.add_run(run, manifest)
    return run


def test_a_run_is_held_against_the_latest_roof_with_its_threads(store: Store) -> None:
    run = kept(store, MANIFEST)
    assert roofline_share(store, run) is None and roofline_of(store, run.device.key) is None
    add_roofline(store, roof(run, 2))
    add_roofline(store, roof(run, 1, bandwidth=1))
    share = roofline_share(store, run)
    assert share is not None and share.measured_unix_ns == 2
    # 100 tokens per second; keys and values of 2 layers, 2 heads, 8 wide, 4 bytes, after 512 + 2 tokens.
    states = 2 * 2 * 2 * 8 * 4 * (512 + 2)
    assert share.decode == pytest.approx(100 * (80_000_000 + states) / 10e9)
    assert share.prefill == pytest.approx(512 * 200_000_000 / 200e9)
    assert (share.products, share.ops_per_second) == ("int8", 200_000_000_000)
    assert roofline_words(share) == (
        "decode 80% of 10 GB/s, prefill 51% of 200 int8 GOP/s (measured 1970-01-01)"
    )


def test_a_layer_that_shares_a_cache_reads_it_too(store: Store) -> None:
    owner = attention_of(LAYERS)[0]
    reader = owner.model_copy(update={"shares_cache_of": 0, "window": 100})
    sharing = LAYERS[1].model_copy(update={"mixers": (reader,), "states": ()})
    layers = [layer.model_dump(mode="json") for layer in (LAYERS[0], sharing)]
    run = kept(store, MANIFEST | {"architecture": {"layers": layers}})
    add_roofline(store, roof(run, 1))
    share = roofline_share(store, run)
    # Keys and values, 2 heads, 8 wide, 4 bytes: of the whole text by the owner, of 100 tokens by the other.
    states = 2 * 2 * 8 * 4 * (512 + 2 + 100)
    assert share is not None and share.decode == pytest.approx(100 * (80_000_000 + states) / 10e9, rel=1e-9)


@pytest.mark.parametrize("scheme", ["fp32", "fp16", "8w", "4w"])
def test_schemes_that_multiply_floats_are_held_against_the_float_roof(store: Store, scheme: str) -> None:
    made = stored_run(emulated=False)
    run = replace(made, artifact=replace(made.artifact, scheme=scheme))
    store.add_run(run, MANIFEST)
    add_roofline(store, roof(run, 1))
    share = roofline_share(store, run)
    assert share is not None and share.prefill == pytest.approx(512 * 200_000_000 / 50e9)
    assert (share.products, share.ops_per_second) == ("float", 50_000_000_000)
    assert "prefill 205% of 50 float GOP/s" in str(roofline_words(share))


def test_another_tool_s_scheme_has_no_roof_to_multiply_under(store: Store) -> None:
    made = stored_run(emulated=False)
    run = replace(made, artifact=replace(made.artifact, scheme="Q4_K_M"))
    store.add_run(run, MANIFEST)
    add_roofline(store, roof(run, 1))
    share = roofline_share(store, run)
    assert share is not None and (share.prefill, share.ops_per_second) == (None, None)
    assert share.decode is not None and "prefill" not in str(roofline_words(share))


def test_what_is_not_known_has_no_share(store: Store) -> None:
    old = kept(store, {"architecture": MANIFEST["architecture"]})
    add_roofline(store, roof(old, 1))
    assert roofline_share(store, old) is None, "its manifest does not tell the work of a token"
    assert roofline_words(None) is None


def test_without_a_rate_its_share_is_unknown_and_not_zero(store: Store) -> None:
    failed = kept(store, MANIFEST, decode_tokens_per_second=None, threads=0)
    add_roofline(store, roof(failed, 1))
    share = roofline_share(store, failed)
    assert share is not None and share.decode is None and share.prefill is not None
    assert share.read_bytes_per_second == 40_000_000_000, "as many threads as there are"
    assert roofline_words(share) == "prefill 26% of 400 int8 GOP/s (measured 1970-01-01)"
