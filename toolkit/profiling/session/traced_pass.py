"""A further pass, in which the engine traces its operators; the timed one has ended by then."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from toolkit.devices.base import Device
from toolkit.engines import ENGINES
from toolkit.errors import ResultInvalid, UsageError
from toolkit.profiling import remote
from toolkit.profiling.breakdown import Phase, PhaseBreakdown, Work, breakdown, measurements
from toolkit.profiling.description import RunDescription
from toolkit.profiling.flags import profile_flags
from toolkit.profiling.gate_options import GateOptions
from toolkit.profiling.records import Repetition, Result, parse_result
from toolkit.profiling.session import launch
from toolkit.profiling.session.ending import ending_of_exit_code
from toolkit.registry import resolve
from toolkit.store.rows import Measurement

# Of the runner's files in the run's folder.
_RESULT = "traced.jsonl"
_TRACE = "trace"
SUMMARY = "breakdown.json"

# $1 is the run's folder; the largest file is the one of the attempt that loaded.
_LARGEST = f'cd "$1" && ls -S {_TRACE}_*.json | head -n 1'


def check_traceable(engine: str, runner: str) -> None:
    """Refuse an engine or a runner that traces nothing, before anything is pushed.

    Raises:
        UsageError: it has no trace that is read here.
    """
    if runner != "shell":
        raise UsageError(
            "--breakdown: the app's runner traces nothing",
            next_step="Leave it out, or use the runner in the shell.",
        )
    if ENGINES.get(engine).trace is None:
        raise UsageError(
            f"--breakdown: no trace of {ENGINES.get(engine).title} is read yet",
            next_step="Leave it out, or convert for an engine that has one: "
            + ", ".join(name for name in ENGINES if ENGINES.get(name).trace is not None),
        )


def traced_pass(
    device: Device, description: RunDescription, timed: Result, folder: Path, *, timeout_s: float
) -> Sequence[Measurement]:
    """Run one warm-up and one repetition with the trace on, and say where their time went.

    Args:
        device: holds artifact, bundle and the run's folder.
        description: of the timed run.
        timed: its result.
        folder: gets the trace and a summary by operator.
        timeout_s: limit for the runner.

    Raises:
        DeviceError, RunnerFailed, ResultInvalid: there is no breakdown; the timed run is not touched.
    """
    run_id = description.run_id
    run_dir = remote.run_dir(device, run_id)
    completed = launch.start_runner(device, run_id, _command(description, run_dir), timeout_s=timeout_s)
    if completed.returncode != 0:
        said = launch.read_remote_text(device, f"{run_dir}/{remote.STDERR}", last_bytes=4096)
        error = ending_of_exit_code(completed.returncode, said, serial=device.serial).error
        assert error is not None, "an exit code other than 0 is an error"
        raise error
    device.pull(f"{run_dir}/{_RESULT}", folder / _RESULT)
    name = launch.answered(device, ["sh", "-c", _LARGEST, "slm-trace", run_dir], timeout_s=15.0).strip()
    if not name:
        raise ResultInvalid(
            "the engine left no trace",
            subject=f"device {device.serial}",
            next_step="Check the free space on the device (slm devices list), then run it again.",
        )
    device.pull(f"{run_dir}/{name}", folder / f"{_TRACE}.json")
    traced = parse_result((folder / _RESULT).read_text(), run_id=run_id, subject=device.serial)
    reader = ENGINES.get(description.bundle.engine).trace
    assert reader is not None, "checked before the run"
    calls = resolve(reader)(folder / f"{_TRACE}.json")
    start = timed.start
    found = breakdown(
        calls,
        Work.of(
            prompt_tokens=start.prompt_tokens,
            generate_tokens=start.generate_tokens,
            depth=start.depth,
            chunk=start.prefill_chunk,
        ),
        untraced_ns=_medians(timed.measured),
        traced_ns={phase: int(ns) for phase, ns in _medians(traced.measured).items()},
    )
    (folder / SUMMARY).write_text(_summary(found))
    return tuple(measurements(found))


def _command(description: RunDescription, run_dir: str) -> list[str]:
    """The timed run's command with one repetition, no gate, and the trace."""
    quick = {"repetitions": 1, "repeat_s": 0, "warmup": 1, "gate": GateOptions(name="off"), "energy": None}
    options = description.options.model_copy(update={**quick, "pause_s": 0, "page_cache": None})
    mode = description.argv.index("profile")
    model = description.argv[description.argv.index("--model") + 1]
    flags = profile_flags(run_dir, description.run_id, options, None)
    flags[flags.index("--output") + 1] = f"{run_dir}/{_RESULT}"
    return [*description.argv[:mode], "profile", "--model", model, *flags, "--trace", f"{run_dir}/{_TRACE}"]


def _medians(repetitions: Sequence[Repetition]) -> dict[Phase, float]:
    return {
        "prefill": statistics.median(one.prefill_ns for one in repetitions),
        "decode": statistics.median(sum(one.decode_ns) for one in repetitions),
    }


def _summary(found: dict[Phase, PhaseBreakdown]) -> str:
    return json.dumps({phase: asdict(one) for phase, one in found.items()}, indent=2) + "\n"
