"""What the peak memory is made of: by hand, and of a real run."""

from __future__ import annotations

from typing import Any

import pytest

from toolkit.artifact import Artifact
from toolkit.devices.local import LocalDevice
from toolkit.profiling.memory_parts import memory_parts
from toolkit.profiling.records import Memory
from toolkit.profiling.request import ProfileRequest
from toolkit.profiling.session.session import Session, profile

WHOLE = {"mapped_model_bytes": 20, "mapped_other_bytes": 30, "anonymous_bytes": 40}
TOLD = {"packed_weights_bytes": 12, "states_bytes": 8}


def parts(**fields: Any) -> dict[str, float]:
    figures = dict.fromkeys(
        ("peak_bytes", "vm_hwm_bytes", "max_rss_swap_bytes", "max_swap_bytes", "after_load_bytes")
        + ("major_faults", "samples", "interval_ms"),
        100,
    )
    memory = Memory(record="memory", run_id="r", method="m", **(figures | fields))
    return {
        one.name.removeprefix("memory_").removesuffix("_bytes"): one.value for one in memory_parts(memory)
    }


def test_the_parts_sum_to_the_peak() -> None:
    assert parts(**WHOLE, **TOLD) == {
        "weights_mapped": 20,
        "weights_packed": 12,
        "states": 8,
        "compute": 20,
        "engine": 30,
        "other": 10,
    }


def test_what_an_engine_does_not_tell_is_left_out_and_not_zero() -> None:
    found = parts(**WHOLE, states_bytes=8)
    assert "weights_packed" not in found and found["compute"] == 32 and sum(found.values()) == 100


def test_a_peak_that_lags_behind_the_mappings_is_still_the_sum() -> None:
    found = parts(**WHOLE, **TOLD, peak_bytes=85)
    assert found["other"] == 0 and found["compute"] == 15 and sum(found.values()) == 85


@pytest.mark.parametrize("fields", [{}, {"states_bytes": 8}, WHOLE | {"states_bytes": 41}])
def test_without_mappings_or_with_impossible_ones_nothing_is_said(fields: dict[str, int]) -> None:
    assert parts(**fields) == {}


def test_a_run_tells_its_memory_by_part(local: LocalDevice, artifact: Artifact, session: Session) -> None:
    options = ProfileRequest.of(prompt_tokens=8, generate_tokens=4, repetitions=1, warmup=0, gate="off")
    stored = profile(local, artifact, options, session)
    found = {
        one.name: one.value
        for one in stored.measurements
        if one.name.startswith("memory_") and one.name.endswith("_bytes")
    }
    assert sum(found.values()) == stored.run.peak_bytes
    # The engine's library alone has megabytes; the states were touched before anything was timed.
    assert found["memory_engine_bytes"] > 1_000_000 and found["memory_states_bytes"] > 0
