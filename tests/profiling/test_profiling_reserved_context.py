"""Memory of a whole context, on both engines: what it grows by is its keys and values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from executorch_programs import convert

from toolkit.artifact import Artifact
from toolkit.devices.local import LocalDevice
from toolkit.models.catalogue.catalogue import shipped
from toolkit.profiling.request import ProfileRequest
from toolkit.profiling.session.session import Session, profile

CONTEXTS = (512, 16384)
# Keys and values of 2 layers with 2 heads of 16 floats.
BYTES_PER_TOKEN = 2 * 2 * 2 * 16 * 4
PAGE_BYTES = 4096


@pytest.fixture(
    scope="module",
    params=[
        "onnxruntime",
        pytest.param(
            "executorch",
            marks=pytest.mark.skipif(
                find_spec("executorch") is None, reason="the extra [executorch] is not installed"
            ),
        ),
    ],
)
def artifacts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Artifact]]:
    """One model, made for a short context and for a long one."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    config = dict(shipped()["llama-tiny"].config or {}) | {"max_position_embeddings": CONTEXTS[-1]}
    (folder / "config.json").write_text(json.dumps(config))
    yield [
        convert(
            f"random:{folder / 'config.json'}",
            folder / str(context),
            *("--backend", request.param, "--quant", "fp32", "--context", str(context)),
        )
        for context in CONTEXTS
    ]


def memory(local: LocalDevice, artifact: Artifact, session: Session, reserve: str) -> tuple[int, float]:
    """Peak, and what the states have of it."""
    asked = ProfileRequest.of(
        prompt_tokens=8, generate_tokens=4, repetitions=1, warmup=0, gate="off", threads=1, reserve=reserve
    )
    stored = profile(local, artifact, asked, session)
    assert stored.run.status == "ok" and stored.run.peak_bytes is not None
    assert (stored.run.settings or {}).get("reserve", "run") == reserve
    states = stored.measured("memory_states_bytes")
    assert states is not None
    return stored.run.peak_bytes, states


def test_a_longer_context_takes_its_keys_and_values_where_it_is_reserved(
    local: LocalDevice, artifacts: list[Artifact], session: Session
) -> None:
    (short_peak, short_states), (long_peak, long_states) = (
        memory(local, one, session, "context") for one in artifacts
    )
    assert short_states == pytest.approx(BYTES_PER_TOKEN * CONTEXTS[0], abs=2 * PAGE_BYTES)
    assert long_states == pytest.approx(BYTES_PER_TOKEN * CONTEXTS[1], abs=2 * PAGE_BYTES)
    # With the tables and masks of so many positions.
    cache = BYTES_PER_TOKEN * (CONTEXTS[1] - CONTEXTS[0])
    assert 0.95 * cache < long_peak - short_peak < 2 * cache


def test_a_run_s_own_positions_take_as_little_as_they_are(
    local: LocalDevice, artifacts: list[Artifact], session: Session
) -> None:
    _, states = memory(local, artifacts[1], session, "run")
    # Engines that plan by the page touch one for each layer's keys and one for its values, and the next.
    assert states <= 64 * PAGE_BYTES < BYTES_PER_TOKEN * CONTEXTS[1] / 20
