"""Further passes, in some of which the engine traces its operators; the timed one has ended by then."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from toolkit.devices.base import Device
from toolkit.engines import ENGINES
from toolkit.errors import ResultInvalid, UsageError
from toolkit.profiling import remote
from toolkit.profiling.breakdown import Phase, Work, breakdown, measurements
from toolkit.profiling.description import RunDescription
from toolkit.profiling.flags import profile_flags
from toolkit.profiling.gate_options import GateOptions
from toolkit.profiling.records import Result, parse_result
from toolkit.profiling.session import launch
from toolkit.profiling.session.ending import ending_of_exit_code
from toolkit.registry import resolve
from toolkit.store.rows import Measurement

# An untraced and a traced pass make a round; an odd number of them has a middle one.
ROUNDS = 3
SUMMARY = "breakdown.json"

# $1 is the run's folder and $2 how the names begin; the largest file is the one of the attempt that loaded.
_LARGEST = 'cd "$1" && ls -S "$2"_*.json | head -n 1'


@dataclass(frozen=True)
class _Pass:
    """What the repetition of a pass took.

    Attributes:
        name: of its files, as they begin.
        ns: by phase.
    """

    name: str
    ns: dict[Phase, int]


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


def traced_passes(
    device: Device, description: RunDescription, timed: Result, folder: Path, *, timeout_s: float
) -> Sequence[Measurement]:
    """Run passes without and with the trace by turns, and say where the time of the traced ones went.

    A phase is that of the traced pass in the middle, held against the untraced one in the middle: a machine
    that slows down or is busy for a while is so in both.

    Args:
        device: holds artifact, bundle and the run's folder.
        description: of the timed run.
        timed: its result.
        folder: gets the traces that are broken down and a summary by operator.
        timeout_s: limit for the runner, each time.

    Raises:
        DeviceError, RunnerFailed, ResultInvalid: there is no breakdown; the timed run is not touched.
    """

    def run(name: str, *, traced: bool) -> _Pass:
        return _run(device, description, folder, name, traced=traced, timeout_s=timeout_s)

    untraced, traced = [], []
    for number in range(1, ROUNDS + 1):
        untraced.append(run(f"untraced-{number}", traced=False))
        traced.append(run(f"traced-{number}", traced=True))
    start = timed.start
    work = Work.of(
        prompt_tokens=start.prompt_tokens,
        generate_tokens=start.generate_tokens,
        depth=start.depth,
        chunk=start.prefill_chunk,
    )
    chosen = {phase: _middle(traced, phase) for phase in work.phases}
    reader = ENGINES.get(description.bundle.engine).trace
    assert reader is not None, "checked before the run"
    read = resolve(reader)
    calls = {
        name: read(_pull_trace(device, description.run_id, name, folder))
        for name in dict.fromkeys(one.name for one in chosen.values())
    }
    found = {
        phase: breakdown(
            calls[one.name],
            work,
            phase,
            traced_ns=one.ns[phase],
            untraced_ns=_middle(untraced, phase).ns[phase],
        )
        for phase, one in chosen.items()
    }
    summary = {phase: {"pass": chosen[phase].name, **asdict(one)} for phase, one in found.items()}
    (folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return tuple(measurements(found))


def _run(
    device: Device, description: RunDescription, folder: Path, name: str, *, traced: bool, timeout_s: float
) -> _Pass:
    """One warm-up and one repetition in a process of their own."""
    run_id = description.run_id
    run_dir = remote.run_dir(device, run_id)
    command = _command(description, run_dir, name, traced=traced)
    completed = launch.start_runner(device, run_id, command, timeout_s=timeout_s)
    if completed.returncode != 0:
        said = launch.read_remote_text(device, f"{run_dir}/{remote.STDERR}", last_bytes=4096)
        error = ending_of_exit_code(completed.returncode, said, serial=device.serial).error
        assert error is not None, "an exit code other than 0 is an error"
        raise error
    device.pull(f"{run_dir}/{name}.jsonl", folder / f"{name}.jsonl")
    result = parse_result(
        (folder / f"{name}.jsonl").read_text(encoding="utf-8"), run_id=run_id, subject=device.serial
    )
    (repetition,) = result.measured
    return _Pass(name, {"prefill": repetition.prefill_ns, "decode": sum(repetition.decode_ns)})


def _pull_trace(device: Device, run_id: str, name: str, folder: Path) -> Path:
    run_dir = remote.run_dir(device, run_id)
    found = launch.answered(
        device, ["sh", "-c", _LARGEST, "slm-trace", run_dir, name], timeout_s=15.0
    ).strip()
    if not found:
        raise ResultInvalid(
            "the engine left no trace",
            subject=f"device {device.serial}",
            next_step="Check the free space on the device (slm devices list), then run it again.",
        )
    device.pull(f"{run_dir}/{found}", folder / f"{name}-trace.json")
    return folder / f"{name}-trace.json"


def _middle(passes: Sequence[_Pass], phase: Phase) -> _Pass:
    return sorted(passes, key=lambda one: one.ns[phase])[len(passes) // 2]


def _command(description: RunDescription, run_dir: str, name: str, *, traced: bool) -> list[str]:
    """The timed run's command with one repetition and no gate."""
    quick = {"repetitions": 1, "repeat_s": 0, "warmup": 1, "gate": GateOptions(name="off"), "energy": None}
    options = description.options.model_copy(update={**quick, "pause_s": 0, "page_cache": None})
    mode = description.argv.index("profile")
    model = description.argv[description.argv.index("--model") + 1]
    output = f"{run_dir}/{name}.jsonl"
    flags = profile_flags(run_dir, description.run_id, options, None, output=output)
    trace = ["--trace", f"{run_dir}/{name}"] if traced else []
    return [*description.argv[:mode], "profile", "--model", model, *flags, *trace]
