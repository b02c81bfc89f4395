"""What the toolkit keeps on a device, and removing it: artifacts, runner bundles, runs, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from toolkit.app.copies import drop_copy
from toolkit.devices.base import Device
from toolkit.errors import DeviceUnreadable, TransferFailed
from toolkit.profiling.session import launch

_TIMEOUT_S = 60.0

Kind = Literal["artifact", "bundle", "run"]

# Folders of the toolkit's folder, and the names that it gives to what is in them (profiling.remote).
_OURS: dict[str, tuple[Kind, re.Pattern[str]]] = {
    "artifacts": ("artifact", re.compile("[0-9a-f]{16}")),
    "bundles": ("bundle", re.compile("[a-z0-9_-]+-[0-9a-f]{16}")),
    "runs": ("run", re.compile("[0-9a-z]{16}")),
}

# $1 is the toolkit's folder. Prints "KIBIBYTES FOLDER/NAME" for each entry.
_LIST = """
[ -e "$1" ] || exit 0
cd "$1" || exit
for entry in artifacts/* bundles/* runs/*; do
  [ -d "$entry" ] && echo "$(du -sk "$entry" | { read -r size rest; echo "$size"; }) $entry"
done
:
"""
# $1 is the toolkit's folder. Folders go when they are empty, which spares what somebody else put there.
# A lease in it means that another host is at work.
_TIDY = """
cd "$1" 2>/dev/null || exit 0
rmdir artifacts bundles runs 2>/dev/null
[ -e lease ] || rm -fr .lease.lock .lease.taking lease.new
cd / && rmdir "$1" 2>/dev/null
:
"""


@dataclass(frozen=True)
class Kept:
    """One thing that the toolkit put on a device.

    Attributes:
        kind: artifact, bundle or run.
        path: its folder there.
        size_bytes: disk space that it takes.
        kept_because: why it is not removed; None when it may be.
    """

    kind: Kind
    path: str
    size_bytes: int
    kept_because: str | None = None


def kept_on(device: Device, *, drop_runs: bool = False) -> list[Kept]:
    """What the toolkit keeps on a device, in the order of its folders.

    Args:
        device: where to look.
        drop_runs: runs that go on and results that nobody has pulled may go as well.

    Raises:
        DeviceError: the device cannot be reached, or its folders cannot be read.
    """
    script = ["sh", "-c", _LIST, "slm-list", device.workdir]
    found = []
    for line in launch.answered(device, script, timeout_s=_TIMEOUT_S).splitlines():
        size, _, entry = line.partition(" ")
        folder, _, name = entry.partition("/")
        if folder not in _OURS or not size.isdigit():
            continue
        kind, pattern = _OURS[folder]
        if pattern.fullmatch(name):
            because = _why_kept(device, name, drop_runs) if kind == "run" else None
            found.append(Kept(kind, f"{device.workdir}/{entry}", int(size) * 1024, because))
    return found


def clean(device: Device, *, drop_runs: bool = False) -> list[Kept]:
    """Remove what the toolkit put on a device, except runs that go on or have not been pulled.

    With ``drop_runs`` these go as well. Their hosts are gone: the lease is ours.

    Returns:
        Everything found; what has no ``kept_because`` is gone.

    Raises:
        DeviceBusy: it is in use.
        DeviceError: the device cannot be reached; cleaning again goes on where this ended.
    """
    with device.lock():
        if drop_runs:
            for run_id in launch.running_ids(device):
                launch.kill_runner(device, run_id)
        found = kept_on(device, drop_runs=drop_runs)
        _remove(device, [kept for kept in found if kept.kept_because is None])
    device.shell(["sh", "-c", _TIDY, "slm-tidy", device.workdir], timeout_s=_TIMEOUT_S)
    return found


def _why_kept(device: Device, run_id: str, drop_runs: bool) -> str | None:
    if drop_runs:
        return None
    try:
        if launch.runner_state(device, run_id) == "running":
            return "it is still running"
    except DeviceUnreadable:
        return "what became of it cannot be read"
    return "its result has not been pulled"


def _remove(device: Device, found: Sequence[Kept]) -> None:
    # One call each: a phone that stops answering half-way has whole folders, or none of them, left.
    for kept in found:
        path = kept.path
        if kept.kind == "run":
            result = launch.remove_run_dir(device, path.rpartition("/")[2])
        else:
            result = device.shell(["rm", "-rf", path], timeout_s=_TIMEOUT_S)
            if kept.kind == "artifact":
                drop_copy(device, path.rpartition("/")[2])
        if result.returncode != 0:
            raise TransferFailed(
                f"{path} could not be removed: {result.stderr.strip()[-300:]}",
                serial=device.serial,
                next_step=f"Run it again, or remove it by hand: rm -rf {path}",
            )
