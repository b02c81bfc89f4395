"""What a device can do at most: the runner's mode `measure`, on any device."""

from __future__ import annotations

import time

from toolkit.devices.base import Device
from toolkit.engines import DEFAULT_ENGINE
from toolkit.profiling import remote
from toolkit.profiling.roofline import Roofline, parse_roofline
from toolkit.profiling.run_rows import device_row, roofline_row
from toolkit.profiling.session import launch
from toolkit.profiling.session.ending import ending_of_exit_code
from toolkit.profiling.session.launch import abandon
from toolkit.profiling.session.push import push_runner
from toolkit.progress import ShowProgress, bar
from toolkit.settings import Settings
from toolkit.store import new_run_id, open_store
from toolkit.store.rooflines import add_roofline, roofline_of
from toolkit.store.rows import DeviceRoofline

# Seven passes of three figures take a second per thread count; an emulated CPU takes far longer.
_TIMEOUT_S = 600.0


def known_roofline(device: Device, settings: Settings) -> DeviceRoofline:
    """What the store has of a device; one that was never measured is measured now, and that is kept.

    Raises:
        StoreError, RunnerFailed, ResultInvalid, RuntimeBundleError, DeviceError: see the parts.
    """
    row = device_row(device.info())
    with open_store(settings.store_url) as store:
        known = roofline_of(store, row.key)
        if known is None:
            known = roofline_row(row, measure_roofline(device, settings), time.time_ns())
            add_roofline(store, known)
    return known


def measure_roofline(
    device: Device,
    settings: Settings,
    *,
    buffer_mb: int | None = None,
    timeout_s: float = _TIMEOUT_S,
    show_progress: ShowProgress = bar,
) -> Roofline:
    """Push the runner unless it is there, and measure.

    Args:
        device: where to measure; nothing else should run on it.
        settings: where bundles are.
        buffer_mb: mebibytes to read; the runner's choice by default.
        timeout_s: limit for the runner.
        show_progress: opens a progress bar.

    Raises:
        RunnerFailed: the device lacks the memory, or the runner cannot run there.
        ResultInvalid: what it printed cannot be read.
        RuntimeBundleError: no bundle can be built for the device.
        DeviceError: the device failed; the runner on it is stopped.
    """
    run_id = new_run_id()
    run_dir = remote.run_dir(device, run_id)
    flags = ["--run-id", run_id]
    if buffer_mb is not None:
        flags += ["--buffer-mb", str(buffer_mb)]
    with device.lock():
        pushed = push_runner(device, settings, DEFAULT_ENGINE, show_progress=show_progress)
        try:
            launch.make_run_dir(device, run_id)
            done = launch.start_runner(
                device, run_id, [*pushed.command, "measure", *flags], timeout_s=timeout_s
            )
            if done.returncode != 0:
                said = launch.read_remote_text(device, f"{run_dir}/{remote.STDERR}", last_bytes=4096)
                error = ending_of_exit_code(done.returncode, said, serial=device.serial).error
                assert error is not None, "an exit code other than 0 is an error"
                raise error
            return parse_roofline(done.stdout, run_id=run_id, subject=f"device {device.serial}")
        finally:
            abandon(device, run_id)
