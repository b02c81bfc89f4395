"""Profiling: one run of one artifact on one device, stored exactly once."""

from __future__ import annotations

from typing import Any

from toolkit.artifact import Artifact
from toolkit.devices.base import Device
from toolkit.devices.discovery import open_device
from toolkit.errors import DeviceLost, DeviceNotFound, RunError
from toolkit.profiling.session.launch import abandon
from toolkit.profiling.session.pull import pull_left_runs
from toolkit.profiling.session.session import Session, profile
from toolkit.recipes.kinds.profile import ProfileWork
from toolkit.recipes.run_ids import status_of
from toolkit.recipes.share import obtained
from toolkit.recipes.targets import PHONES, virtual_number
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings
from toolkit.store import Store, open_store


def run(work: ProfileWork, workspace: Workspace, settings: Settings) -> dict[str, Any]:
    """Profile, unless the store has an ok run of this step already.

    The run's id follows from the step and the attempt. So a run that was stored just before a kill is found,
    and one that was not is started again under the same id: the store takes an id once.

    Raises:
        ToolkitError: see `toolkit.profiling.session.session`.
    """
    with open_store(settings.store_url) as store:
        session = Session(settings, store, timeout_s=work.timeout_s)
        run_id = _stored_ok(work, store)
        found = run_id is not None
        if run_id is None:
            device = open_device(serial_of(work.device, settings), settings)
            run_id = _pulled(work, device, session)
            found = run_id is not None
        if run_id is None:
            run_id = _profiled(work, device, obtained(work.artifact, workspace), session)
    return {"run_id": run_id, "status": "ok", "found": found, "alike": list(work.alike)}


def serial_of(target: str, settings: Settings) -> str:
    """The serial of a device of the plan; virtual phones are started when they do not run.

    Raises:
        DeviceNotFound: the recipe is for all attached phones, and there were none.
    """
    if target == PHONES:
        raise DeviceNotFound(
            "no phone is attached", next_step="Attach one, see slm devices list, and run again."
        )
    number = virtual_number(target)
    if number is None:
        return target
    from toolkit.devices.adb.binary import find_adb
    from toolkit.devices.adb.client import AdbClient
    from toolkit.devices.virtual.emulation import emulate

    return emulate(number, settings, AdbClient(find_adb(settings)))[number - 1].serial


def _stored_ok(work: ProfileWork, store: Store) -> str | None:
    return next((one for one in work.run_ids if status_of(store, one) == "ok"), None)


def _pulled(work: ProfileWork, device: Device, session: Session) -> str | None:
    """The id of an earlier attempt's run whose result the device still had when its link was cut."""
    if not any(status_of(session.store, one) == "device_lost" for one in work.run_ids):
        return None
    pull_left_runs(device, session)
    return _stored_ok(work, session.store)


def _profiled(work: ProfileWork, device: Device, artifact: Artifact, session: Session) -> str:
    this = work.run_ids[-1]
    status = status_of(session.store, this)
    if status == "device_lost":
        raise DeviceLost(
            "the link was cut, and the device has no result",
            serial=work.device,
            next_step="Attach the device again, and run the recipe again: slm recipe run RECIPE",
        )
    if status is not None:
        raise RunError(
            f"the run ended with status {status}",
            subject=f"run {this}",
            next_step=f"See what it said: slm results show {this}",
        )
    with device.lock():
        # What an earlier process that was killed may have left running under this id.
        abandon(device, this)
    profile(device, artifact, work.request, session, run_id=this, origin=work.origin)
    return this
