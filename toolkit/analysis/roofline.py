"""How near a run came to what its device can do at most (Williams et al., "Roofline", 2009).

A decode step reads all weights that a token multiplies with, and the states of the text so far, of a window
its rows alone: its roof is the memory's bandwidth. A prefill multiplies: its roof is the throughput of 8-bit
products where the scheme rounds activations to 8 bits, and of floats where it does not. All roofs are those
that `slm devices measure` found with at most as many threads as the run had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from toolkit.compress.schemes import SCHEMES
from toolkit.models.layers import Layer, states_read_bytes
from toolkit.store.rooflines import roofline_of
from toolkit.store.rows import DeviceRoofline, RunSummary
from toolkit.store.store import Store

_LAYERS = TypeAdapter(tuple[Layer, ...])

Products = Literal["int8", "float"]


@dataclass(frozen=True)
class RooflineShare:
    """Shares of the roofs, from 0 to about 1; None where a figure is missing.

    Attributes:
        decode: of the memory's bandwidth.
        prefill: of the throughput of the scheme's products.
        products: what these multiply; None of a scheme that is none of the toolkit's.
        read_bytes_per_second, ops_per_second: the roofs.
        measured_unix_ns: when they were.
    """

    decode: float | None
    prefill: float | None
    products: Products | None
    read_bytes_per_second: int
    ops_per_second: int | None
    measured_unix_ns: int


def products_of(scheme: str) -> Products | None:
    """What the products of a scheme's linears multiply; None of a scheme that is none of the toolkit's."""
    if scheme not in SCHEMES:
        return None
    return "int8" if SCHEMES.get(scheme).dynamic_activation else "float"


def roofline_share(store: Store, run: RunSummary) -> RooflineShare | None:
    """How near a run came to its device's roofs; None where :func:`roofline_shares` leaves it out."""
    return roofline_shares(store, [run]).get(run.run.id)


def roofline_shares(store: Store, runs: Iterable[RunSummary]) -> Mapping[str, RooflineShare]:
    """How near runs came to their devices' roofs, by run id.

    Left out is a run whose device was never measured, or whose artifact was made before manifests told the
    work of a token, and one of a device in emulation, whose CPU is none.
    """
    roofs: dict[str, DeviceRoofline | None] = {}
    manifests: dict[str, Mapping[str, Any]] = {}
    found = {}
    for run in runs:
        device, artifact = run.device.key, run.artifact.sha256
        if device not in roofs:
            roofs[device] = None if run.device.emulated else roofline_of(store, device)
        if (roof := roofs[device]) is None:
            continue
        if artifact not in manifests:
            manifests[artifact] = store.manifest(artifact)
        if (share := _share(run, manifests[artifact], roof)) is not None:
            found[run.run.id] = share
    return found


def _share(run: RunSummary, manifest: Mapping[str, Any], roof: DeviceRoofline) -> RooflineShare | None:
    if not manifest.get("work"):
        return None
    bandwidth = _maximum(roof, "read_bytes_per_second", run.run.threads)
    if bandwidth is None:
        return None
    products = products_of(run.artifact.scheme)
    arithmetic = _maximum(roof, f"{products}_ops_per_second", run.run.threads) if products else None
    return RooflineShare(
        _decode_share(run, manifest, bandwidth),
        None if arithmetic is None else _prefill_share(run, manifest["work"], arithmetic),
        products,
        bandwidth,
        arithmetic,
        roof.created_unix_ns,
    )


def _maximum(roof: DeviceRoofline, name: str, threads: int | None) -> int | None:
    """The best with at most so many threads; 0 or None for however many there are."""
    pairs = zip(roof.points["threads"], roof.points[name], strict=True)
    return max((value for count, value in pairs if not threads or count <= threads), default=None)


def _decode_share(run: RunSummary, manifest: Mapping[str, Any], bandwidth: int) -> float | None:
    rate = run.run.decode_tokens_per_second
    try:
        layers = _LAYERS.validate_python(manifest["architecture"]["layers"])
    except (ValidationError, KeyError):
        return None
    if rate is None:
        return None
    text = run.run.depth + run.run.prompt_tokens + run.run.generate_tokens // 2
    states = states_read_bytes(layers, text)
    return rate * (int(manifest["work"]["decode_weights_bytes"]) + states) / bandwidth


def _prefill_share(run: RunSummary, work: Mapping[str, Any], arithmetic: int) -> float | None:
    rate = run.run.prefill_tokens_per_second
    return None if rate is None else rate * int(work["prefill_flops_per_token"]) / arithmetic
