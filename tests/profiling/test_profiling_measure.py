"""What a device can do at most, measured through the real command."""

from __future__ import annotations

import json

import pytest
from slm_process import SlmProcess

from toolkit.devices.discovery import open_device
from toolkit.devices.local import LocalDevice
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.errors import DeviceTimeout, ResultInvalid
from toolkit.profiling.roofline import parse_roofline
from toolkit.profiling.run_rows import device_row
from toolkit.profiling.session.measuring import measure_roofline
from toolkit.settings import Settings
from toolkit.store import open_store
from toolkit.store.rooflines import roofline_of

POINT = {
    "threads": 1,
    "read_bytes_per_second": 10,
    "int8_ops_per_second": 20,
    "float_ops_per_second": 5,
}
SAID = {
    "schema": "slm-roofline/1",
    "run_id": "one",
    "runner_version": "0.1.0",
    "abi": "x86_64",
    "kernels": "own:avx2",
    "cpus": 1,
    "buffer_bytes": 1024,
    "passes": 1,
    "points": [POINT],
}


def test_this_machine_and_a_phone_are_measured(
    slm: SlmProcess, phone: VirtualPhone, settings: Settings
) -> None:
    for serial in ("local", phone.serial):
        out, err = slm("devices", "measure", serial, "--buffer-mb", "8", "--json").communicate(timeout=120)
        found = json.loads(out or "{}")
        assert found, err
        threads = [point["threads"] for point in found["points"]]
        assert threads[0] == 1 and threads[-1] == found["cpus"] and threads == sorted(set(threads))
        assert all(value > 0 for point in found["points"] for value in point.values())
        assert found["buffer_bytes"] == 8 << 20 and found["kernels"].startswith("own:")
        info = open_device(serial, settings).info()
        with open_store(settings.store_url) as store:
            kept = roofline_of(store, device_row(info).key)
        assert kept is not None and kept.points["threads"] == threads
        assert kept.kernels == found["kernels"]


def test_a_device_that_does_not_come_to_an_end_is_given_up(local: LocalDevice, settings: Settings) -> None:
    with pytest.raises(DeviceTimeout):
        measure_roofline(local, settings, buffer_mb=4096, timeout_s=0.05)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "{",
        "[]",
        json.dumps(SAID | {"points": []}),
        json.dumps(SAID | {"points": [POINT | {"read_bytes_per_second": 0}]}),
        json.dumps(SAID | {"schema": "slm-roofline/2"}),
        json.dumps(SAID | {"run_id": "two"}),
    ],
)
def test_what_is_no_measurement_is_refused(said: str) -> None:
    with pytest.raises(ResultInvalid):
        parse_roofline(said, run_id="one", subject="device x")


def test_what_the_runner_prints_is_read() -> None:
    assert parse_roofline(json.dumps(SAID), run_id="one", subject="x").points[0].read_bytes_per_second == 10
