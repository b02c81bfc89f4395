"""The profile session: push, run, pull, validate, store; see docs/protocol.md.

A run is stored once it was started, however it ended; an error before that leaves nothing. Ctrl-C at any
stage kills the runner on the device and leaves nothing either.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import toolkit
from toolkit.app.driver import APP_RESULT
from toolkit.artifact import Artifact
from toolkit.devices.base import Device
from toolkit.devices.power_supply import PowerSupply
from toolkit.engines import ENGINES
from toolkit.errors import StoreError, ToolkitError
from toolkit.profiling import remote
from toolkit.profiling.description import Origin, RunDescription
from toolkit.profiling.energy.counters import counters_of
from toolkit.profiling.energy.missing import why_no_joules
from toolkit.profiling.flags import profile_flags, write_token_ids
from toolkit.profiling.gate.moments import Moment
from toolkit.profiling.request import ProfileRequest, check_context
from toolkit.profiling.run_rows import stored_run
from toolkit.profiling.session import launch, raw
from toolkit.profiling.session.attended_run import run_attended
from toolkit.profiling.session.ending import Ending
from toolkit.profiling.session.preflight import check_cpus, check_ram, check_threads, run_timeout_s
from toolkit.profiling.session.push import Pushed, push
from toolkit.profiling.session.still_running import wait_for_other_runs
from toolkit.profiling.session.traced_passes import check_traceable, traced_passes
from toolkit.progress import ShowProgress, bar, say
from toolkit.settings import Settings
from toolkit.store import Store, new_run_id
from toolkit.store.rows import Measurement, StoredRun


@dataclass(frozen=True)
class Session:
    """What a session needs beside the device.

    Attributes:
        settings: where raw files and receipts go.
        store: where the run goes.
        timeout_s: limit for the runner, or None to scale it by the work.
        show_progress: opens a progress bar.
    """

    settings: Settings
    store: Store
    timeout_s: float | None = None
    show_progress: ShowProgress = bar


def profile(
    device: Device,
    artifact: Artifact,
    options: ProfileRequest,
    session: Session,
    *,
    run_id: str | None = None,
    origin: Origin | None = None,
) -> StoredRun:
    """Profile an artifact on a device and store the run.

    Args:
        device: where to run.
        artifact: what to run.
        options: how much work.
        session: where results go.
        run_id: the run's id, for a caller that noted it down before the start and so can tell, when it was
            killed, whether the run was stored. A new random one by default.
        origin: the recipe that asks for the run.

    Returns:
        The stored run, whose status is ok.

    Raises:
        ToolkitError: before the start: nothing is stored. After it: the run is stored with its status
            and without figures, unless the error is a StoreError: then `slm pull` stores it.
    """
    ENGINES.get(artifact.manifest.backend.name).check_processor(options.processor, options.provider)
    check_context(artifact, options)
    if options.breakdown:
        check_traceable(artifact.manifest.backend.name, options.runner)
    timeout_s = session.timeout_s or run_timeout_s(artifact.manifest.size_bytes, options)
    with device.lock():
        info = device.info()
        check_ram(artifact, options, info)
        check_threads(options.threads, info)
        if options.affinity:
            check_cpus(options, info, device.readings(cpu_window_s=0).online_cpus)
        wait_for_other_runs(device, timeout_s=timeout_s, say=say)
        battery = None
        if options.energy is not None:
            battery = counters_of(device, options.energy, device.readings(cpu_window_s=0))
        pushed = push(
            device,
            artifact,
            session.settings,
            runner=options.runner,
            app_state=options.app_state,
            show_progress=session.show_progress,
        )
        description = _describe(device, artifact, options, pushed, run_id or new_run_id(), battery)
        description = description.model_copy(update={"origin": origin})
        ending, stored = _run_and_store(device, description, session, timeout_s)
    if ending.error is not None:
        raise ending.error
    return stored


def keep_run(
    description: RunDescription,
    ending: Ending,
    moments: Sequence[Moment],
    folder: Path,
    session: Session,
    measured: Sequence[Measurement] = (),
) -> StoredRun:
    """Give the raw files their place and write the rows, in one transaction.

    The raw files come first: when the database cannot be written they stay, and `slm pull` tries again.

    Raises:
        StoreError: the database cannot be written.
    """
    raw.write_readings(folder, moments)
    stored = stored_run(description, ending, moments)
    stored = replace(stored, measurements=(*stored.measurements, *measured))
    kept = raw.keep(folder, session.settings, description.run_id)
    try:
        manifest = description.manifest.model_dump(mode="json", by_alias=True)
        session.store.add_run(stored, manifest, description.origin.tags if description.origin else ())
    except StoreError:
        raise
    except BaseException:
        shutil.rmtree(kept, ignore_errors=True)
        raise
    if description.options.energy is not None and ending.status == "ok":
        # Whoever asked for joules, and whichever way: a run without any must not end as if all were well.
        if why := why_no_joules(stored):
            say(f"{stored.device.shown_name}: no joules: {why}")
    return stored


def _describe(
    device: Device,
    artifact: Artifact,
    options: ProfileRequest,
    pushed: Pushed,
    run_id: str,
    battery: PowerSupply | None,
) -> RunDescription:
    run_dir = remote.run_dir(device, run_id)
    reference = artifact.manifest.greedy_reference
    output = APP_RESULT if options.runner == "app" else None
    flags = profile_flags(run_dir, run_id, options, reference, battery, output=output)
    return RunDescription(
        run_id=run_id,
        # The host's clock: a phone's may be years off.
        created_unix_ns=time.time_ns(),
        toolkit_version=toolkit.__version__,
        device=pushed.info,
        options=options,
        manifest=artifact.manifest,
        bundle=pushed.bundle,
        argv=(*pushed.command, "profile", "--model", pushed.artifact_dir, *flags),
        before=device.readings(),
    )


def _run_and_store(
    device: Device, description: RunDescription, session: Session, timeout_s: float
) -> tuple[Ending, StoredRun]:
    run_id = description.run_id
    try:
        with raw.staged(session.settings, run_id) as folder:
            _push_description(device, description, folder)
            ending, moments = run_attended(
                device, description, folder, timeout_s=timeout_s, show_progress=session.show_progress
            )
            measured = _broken_down(device, description, ending, folder, timeout_s)
            stored = keep_run(description, ending, moments, folder, session, measured)
    except StoreError:
        # The result stays on the device, for `slm pull`.
        raise
    except BaseException:
        launch.abandon(device, run_id)
        raise
    if ending.status != "device_lost":
        launch.abandon(device, run_id)
    return ending, stored


def _broken_down(
    device: Device, description: RunDescription, ending: Ending, folder: Path, timeout_s: float
) -> Sequence[Measurement]:
    """Where the time went, if that was asked for; the timed run is stored whatever comes of it."""
    if not description.options.breakdown or ending.status != "ok" or ending.result is None:
        return ()
    try:
        return traced_passes(device, description, ending.result, folder, timeout_s=timeout_s)
    except ToolkitError as error:
        say(f"{device.serial}: no breakdown: {error.what}")
        return ()


def _push_description(device: Device, description: RunDescription, folder: Path) -> None:
    run_dir = remote.run_dir(device, description.run_id)
    launch.make_run_dir(device, description.run_id)
    reference = description.manifest.greedy_reference
    if reference is not None:
        for name, ids in (
            (remote.PROMPT, reference.prompt_ids),
            (remote.CONTINUATION, reference.token_ids),
        ):
            write_token_ids(folder / name, ids)
            device.push(folder / name, f"{run_dir}/{name}")
    # Last: `slm pull` takes a folder without a description for a run that never started.
    device.push(raw.write_description(folder, description), f"{run_dir}/{remote.DESCRIPTION}")
