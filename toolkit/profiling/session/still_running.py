"""Waiting for runs that outlived their host: two measurements at a time would disturb each other."""

from __future__ import annotations

import time
from collections.abc import Callable

from toolkit.devices.base import Device
from toolkit.errors import DeviceBusy
from toolkit.profiling.session import launch

_LOOK_S = 2.0


def wait_for_other_runs(device: Device, *, timeout_s: float, say: Callable[[str], None]) -> None:
    """Return once no earlier run goes on; its result stays for `slm pull`.

    Its host is gone: we hold the device's lock and lease.

    Raises:
        DeviceBusy: it takes longer than ``timeout_s``.
    """
    deadline = time.monotonic() + timeout_s
    told = False
    while running := launch.running_ids(device):
        names = ", ".join(running)
        if time.monotonic() > deadline:
            raise DeviceBusy(
                f"Run {names} of an earlier command still goes on there after {timeout_s:.0f} s.",
                serial=device.serial,
                next_step="Wait and fetch it with slm pull, or end it: "
                f"slm devices clean --runs --device {device.serial}",
            )
        if not told:
            say(f"{device.serial}: waiting for run {names} of an earlier command, which still goes on there")
            told = True
        time.sleep(_LOOK_S)
