"""Bringing an ended run's files home and judging them."""

from __future__ import annotations

from pathlib import Path

from toolkit.devices.base import Device
from toolkit.errors import DeviceLost, FileAbsent, ResultInvalid
from toolkit.profiling import remote
from toolkit.profiling.description import RunDescription
from toolkit.profiling.session.ending import (
    Ending,
    ending_of_device_error,
    ending_of_exit_code,
    ending_of_invalid,
    ending_of_result,
)
from toolkit.profiling.session.result_check import checked_result


def collect(device: Device, description: RunDescription, exit_code: int | None, folder: Path) -> Ending:
    """Pull a run's files into ``folder`` and say how it ended.

    Args:
        device: where it ran.
        description: the run.
        exit_code: the runner's, or None when it vanished without leaving one.
        folder: gets ``result.jsonl``, ``stdout``, ``stderr`` and ``app.jsonl``, as far as they exist.

    Raises:
        DeviceError: the device was lost meanwhile; nothing is known about the run.
    """
    run_dir = remote.run_dir(device, description.run_id)
    serial = device.serial
    present = {
        name: pull_if_there(device, f"{run_dir}/{name}", folder / name)
        for name in (remote.RESULT, remote.STDOUT, remote.STDERR, remote.APP)
    }
    if exit_code not in (0, None):
        stderr = folder / remote.STDERR
        said = stderr.read_text(encoding="utf-8", errors="replace") if present[remote.STDERR] else ""
        return ending_of_exit_code(exit_code, said, serial=serial)
    if exit_code is None and not present[remote.RESULT]:
        return ending_of_device_error(
            DeviceLost(
                "the runner vanished together with the link, before it had a result",
                serial=serial,
                next_step="Run it again.",
            )
        )
    try:
        if not present[remote.RESULT]:
            raise ResultInvalid(
                "the runner left no result file",
                subject=f"device {serial}",
                next_step="Check the free space on the device (slm devices list), then run it again.",
            )
        text = (folder / remote.RESULT).read_bytes().decode(errors="replace")
        result = checked_result(text, description)
    except ResultInvalid as error:
        return ending_of_invalid(error, exit_code)
    return ending_of_result(result, description.manifest.greedy_reference, serial=serial)


def pull_if_there(device: Device, path: str, local: Path) -> bool:
    """Pull a file; False when the device has none.

    Raises:
        DeviceError: the device was lost, or does not say whether it has one.
    """
    try:
        device.pull(path, local)
    except FileAbsent:
        return False
    return True
