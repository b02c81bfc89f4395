"""A run from its start to its end, attended: the gate is kept, readings are taken, the result is fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from toolkit.devices.base import Device
from toolkit.errors import DeviceError, DeviceTimeout, GateTimeout
from toolkit.profiling.description import RunDescription
from toolkit.profiling.gate.keeper import GateKeeper
from toolkit.profiling.gate.moments import Moment
from toolkit.profiling.gate.throttling import throttling_by_repetition
from toolkit.profiling.session import launch
from toolkit.profiling.session.collect import collect
from toolkit.profiling.session.ending import (
    Ending,
    ending_of_device_error,
    ending_of_gate,
    with_throttling,
)
from toolkit.progress import ProgressCallback, ShowProgress, say


def run_attended(
    device: Device,
    description: RunDescription,
    folder: Path,
    *,
    timeout_s: float,
    show_progress: ShowProgress,
) -> tuple[Ending, tuple[Moment, ...]]:
    """Run the runner and bring its files home; a device that fails on the way is an ending, too.

    Args:
        device: where the run's folder has been made and described.
        description: the run.
        folder: gets the runner's files.
        timeout_s: limit for the runner, waiting at gates included.
        show_progress: opens a progress bar.

    Returns:
        How it ended, and all readings in the order in which they were taken.
    """
    keeper = GateKeeper(
        device,
        description.run_id,
        description.options.gate,
        description.device.kind,
        say=say,
        lit=description.options.lights_screen,
        pause_s=description.options.pause_s,
    )
    ending = _run(device, description, folder, keeper, timeout_s, show_progress)
    moments = [Moment("before", None, description.before), *keeper.moments]
    if ending.status != "device_lost":
        try:
            moments.append(Moment("after", None, device.readings()))
        except DeviceError:
            # The result is here; readings that cannot be had any more are not worth losing it.
            pass
    if description.options.gate.name != "watch":
        ending = with_throttling(
            ending, throttling_by_repetition(moments, description.device.cpu_cores), serial=device.serial
        )
    return ending, tuple(moments)


def _run(
    device: Device,
    description: RunDescription,
    folder: Path,
    keeper: GateKeeper,
    timeout_s: float,
    show_progress: ShowProgress,
) -> Ending:
    options = description.options
    try:
        with show_progress(f"run on {device.serial}", unit="repetitions") as progress:
            # How many fit into a time, nobody knows before.
            total = 0 if options.repeat_s else options.warmup + options.repetitions
            count = _repetition_counter(progress, total)

            def on_line(line: str) -> None:
                count(line)
                keeper.on_line(line)

            completed = launch.start_runner(
                device, description.run_id, description.argv, timeout_s=timeout_s, on_stdout_line=on_line
            )
        return collect(device, description, completed.returncode, folder)
    except GateTimeout as error:
        return _given_up(device, description, folder, ending_of_gate(error))
    except DeviceTimeout as error:
        return _given_up(device, description, folder, Ending("timeout", None, error=error))
    except DeviceError as error:
        return ending_of_device_error(error)


def _given_up(device: Device, description: RunDescription, folder: Path, ending: Ending) -> Ending:
    """End a runner that is not worth waiting for; a device that does not answer either is lost."""
    try:
        launch.kill_runner(device, description.run_id)
        collect(device, description, None, folder)
    except DeviceError as error:
        return ending_of_device_error(error)
    return ending


def _repetition_counter(progress: ProgressCallback, total: int) -> Callable[[str], None]:
    done = 0

    def on_line(line: str) -> None:
        nonlocal done
        # Good enough for a bar; the records that count are in the result file.
        if '"repetition"' in line:
            done += 1
            progress(done, total)

    progress(0, total)
    return on_line
