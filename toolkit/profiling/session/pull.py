"""Fetching what runs left on a device because their host died or their link was cut."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from toolkit.devices.base import Device
from toolkit.errors import DeviceUnreadable, ResultInvalid, RunNotFound
from toolkit.profiling import remote
from toolkit.profiling.description import RunDescription, parse_description
from toolkit.profiling.gate.moments import Moment
from toolkit.profiling.gate.throttling import throttling_by_repetition
from toolkit.profiling.session import launch, raw
from toolkit.profiling.session.collect import collect, pull_if_there
from toolkit.profiling.session.ending import with_throttling
from toolkit.profiling.session.session import Session, keep_run
from toolkit.store.rows import Status

_LIST_TIMEOUT_S = 30.0
# $1 is the folder of all runs, which is not there before the first one.
_LIST = """
[ -e "$1" ] || exit 0
cd "$1" && ls -1
"""
_RUN_ID = re.compile("[0-9a-z]{16}")

Action = Literal["stored", "known", "running", "never_started", "unreadable"]


@dataclass(frozen=True)
class LeftRun:
    """A run found on a device and what was done about it.

    Attributes:
        run_id: its id.
        action: stored now; already in the store; still running, left alone; removed, because it had
            never started; or left alone, because its state or description cannot be read.
        status: of the run in the store, when it is there.
        detail: why, for people.
    """

    run_id: str
    action: Action
    status: Status | None = None
    detail: str | None = None


def pull_left_runs(device: Device, session: Session) -> list[LeftRun]:
    """Store every run that ended on the device and remove it there; safe to repeat at any time.

    Raises:
        DeviceError: the device cannot be reached, or another process of this host uses it.
        StoreError: the database cannot be written; nothing is removed from the device then.
    """
    with device.lock():
        return [_pull_one(device, run_id, session) for run_id in _left_run_ids(device)]


def _left_run_ids(device: Device) -> list[str]:
    script = ["sh", "-c", _LIST, "slm-list", remote.runs_dir(device)]
    names = launch.answered(device, script, timeout_s=_LIST_TIMEOUT_S).split()
    return sorted(name for name in names if _RUN_ID.fullmatch(name))


def _pull_one(device: Device, run_id: str, session: Session) -> LeftRun:
    try:
        state = launch.runner_state(device, run_id)
    except DeviceUnreadable as error:
        return LeftRun(run_id, "unreadable", detail=str(error))
    if state == "running":
        return LeftRun(run_id, "running", detail="pull again when it has ended")
    known = _status_in_store(run_id, session)
    if known is not None and known != "device_lost":
        launch.remove_run_dir(device, run_id)
        return LeftRun(run_id, "known", known)
    try:
        description = _description(device, run_id)
    except ResultInvalid as error:
        return LeftRun(run_id, "unreadable", known, str(error))
    if description is None:
        launch.remove_run_dir(device, run_id)
        return LeftRun(run_id, "never_started", known)
    with raw.staged(session.settings, run_id) as folder:
        raw.write_description(folder, description)
        ending = collect(device, description, None if state == "gone" else state, folder)
        # The readings that opened the gates lie beside the result; those after the run nobody took.
        moments = (Moment("before", None, description.before), *launch.left_moments(device, run_id))
        if description.options.gate.name != "watch":
            ending = with_throttling(
                ending, throttling_by_repetition(moments, description.device.cpu_cores), serial=device.serial
            )
        keep_run(description, ending, moments, folder, session)
    launch.remove_run_dir(device, run_id)
    return LeftRun(run_id, "stored", ending.status, str(ending.error) if ending.error else None)


def _status_in_store(run_id: str, session: Session) -> Status | None:
    try:
        return session.store.get_run(run_id).run.status
    except RunNotFound:
        return None


def _description(device: Device, run_id: str) -> RunDescription | None:
    with tempfile.TemporaryDirectory(prefix="slm-pull-") as folder:
        local = Path(folder) / remote.DESCRIPTION
        if not pull_if_there(device, f"{remote.run_dir(device, run_id)}/{remote.DESCRIPTION}", local):
            return None
        text = local.read_text(encoding="utf-8", errors="replace")
    return parse_description(text, subject=f"run {run_id} on device {device.serial}")
