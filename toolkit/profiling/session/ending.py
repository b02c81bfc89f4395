"""How a run ended: status, reason and next step, from exit codes and greedy tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from toolkit.analysis.metrics import agreement
from toolkit.artifact import GreedyReference
from toolkit.errors import (
    DeviceError,
    GateTimeout,
    ResultInvalid,
    RunError,
    RunnerFailed,
    Throttled,
    ToolkitError,
)
from toolkit.profiling.gate.throttling import Throttling
from toolkit.profiling.records import Result
from toolkit.store.rows import Status

# Other instruction sets and kernels round differently, which flips near ties: with int8 activations, a change
# in the last bit moves logits by up to one. A wrong computation agrees by chance, once in thousands.
MIN_AGREEMENT = 0.5

_SIGKILL = 128 + 9
# Of the app alone (slm.toolkit.core.LEFT_FOREGROUND).
_LEFT_FOREGROUND = 12

# What it is that a runner did not take, of runners that have one exit code for all of it; by its message.
_ANSWERS_OF_CODE_2 = (
    (re.compile(r"CPU \d+ is offline|there is no CPU|--affinity"), 9),
    (re.compile(r"--threads|threads"), 10),
    (re.compile(r"--kernels|kernels '"), 11),
)

_REASONS = {
    2: (
        "did not understand its options",
        "Runner and toolkit do not fit. Delete the bundle (slm runtime list) and build it: slm runtime build",
    ),
    3: (
        "could not load the engine library",
        "Delete the bundle (slm runtime list) and build it again: slm runtime build",
    ),
    4: ("could not load the model", "Push it again, or check that the engine version fits the artifact."),
    5: ("did not understand the model's inputs", "Convert the model again with this toolkit version."),
    6: ("ran out of context", "Ask for fewer tokens, or convert with a larger --context."),
    7: ("failed while running the model", "See the runner's message."),
    8: ("could not write its output", "Check the free space on the device: slm devices list"),
    9: ("may not use a CPU", "Leave --affinity out, or name CPUs that are online and allowed."),
    10: ("cannot have so many threads", "Ask for fewer: --threads N."),
    11: (
        "cannot run these kernels on this CPU",
        "Name one of the sets in the message, or leave --kernels out.",
    ),
    12: (
        "was not in the foreground, and what runs behind other apps or a dark screen is another condition",
        "Unlock the phone, keep the app in front and run it again, or measure that condition: "
        "--app-state service.",
    ),
    13: (
        "was ended with its app, or the app did not start",
        "See the message; slm app info says what is installed.",
    ),
    126: (
        "could not be started: not executable",
        "Check that the device allows running files in its folder.",
    ),
    127: (
        "could not be started: not found",
        "Delete the bundle (slm runtime list) and build it again: slm runtime build",
    ),
}


# The app brings a runner and engines of its own; what its own code says begins so.
_OF_APP = re.compile("slm-app")
_STEPS_OF_APP = {
    2: "App and toolkit do not fit. Build the app of this toolkit (docs/android_app.md): slm app install",
    3: "This app lacks the engine: slm app info lists those it has. docs/android_app.md says how to build it "
    "with another one; or leave out --runner app.",
}


@dataclass(frozen=True)
class Ending:
    """The end of a run.

    Attributes:
        status: what the store says.
        exit_code: the runner's, or None when nobody saw it.
        error: what to tell the user, None when the status is ok.
        result: the whole result, when there is one.
        greedy_matched: positions of the host's greedy reference where the device prefers the same token.
        greedy_total: tokens of that reference; both None when there was nothing to compare.
    """

    status: Status
    exit_code: int | None
    error: ToolkitError | None = None
    result: Result | None = None
    greedy_matched: int | None = None
    greedy_total: int | None = None


def ending_of_result(result: Result, reference: GreedyReference | None, *, serial: str) -> Ending:
    """The ending of a run that wrote a whole result: ok, or token_mismatch."""
    if result.greedy is None or reference is None:
        return Ending("ok", 0, result=result)
    total = len(reference.token_ids)
    matched = agreement(reference.token_ids, result.greedy.token_ids)
    error = None
    if matched < MIN_AGREEMENT * total:
        error = RunError(
            f"only {matched} of {total} greedy tokens equal the converting host's",
            subject=f"device {serial}",
            next_step="The engine computes something else here; the figures are not used. "
            "Compare with: slm generate ARTIFACT --device local",
        )
    return Ending(
        "token_mismatch" if error else "ok",
        0,
        error=error,
        result=result,
        greedy_matched=matched,
        greedy_total=total,
    )


def ending_of_exit_code(exit_code: int, stderr: str, *, serial: str) -> Ending:
    """The ending of a runner that failed; the last line of its stderr goes into the message."""
    said = stderr.strip().splitlines()
    message = f": {said[-1].strip()}" if said else ""
    answers = _ANSWERS_OF_CODE_2 if exit_code == 2 and said else ()
    reason_code = next((code for pattern, code in answers if pattern.search(said[-1])), exit_code)
    if exit_code == _SIGKILL:
        what = "the runner was killed by signal 9, as the low-memory killer does"
        next_step = "Close apps, ask for fewer tokens, or use a smaller artifact (4-bit, smaller --context)."
        return Ending("oom_killed", exit_code, _failed(what + message, serial, next_step))
    if exit_code > 128:
        what, next_step = f"the runner was killed by signal {exit_code - 128}", "See the runner's message."
    else:
        reason, next_step = _REASONS.get(reason_code, ("failed", "See the runner's message."))
        what = f"the runner {reason} (exit code {exit_code})"
        if said and _OF_APP.match(said[-1]):
            next_step = _STEPS_OF_APP.get(reason_code, next_step)
    status: Status = "left_foreground" if exit_code == _LEFT_FOREGROUND else "error"
    return Ending(status, exit_code, _failed(what + message, serial, next_step))


def ending_of_gate(error: GateTimeout) -> Ending:
    """The ending of a run whose device was not fit for measuring within the time limit."""
    return Ending("gate_timeout", None, error=error)


def with_throttling(ending: Ending, throttling: Mapping[int, Throttling], *, serial: str) -> Ending:
    """The same ending, unless the device slowed itself down in a measured repetition of a run that went well.

    Args:
        ending: how the run ended otherwise.
        throttling: repetition -> what the readings around it say.
        serial: the device.
    """
    if ending.status != "ok" or ending.result is None:
        return ending
    measured = [repetition.index for repetition in ending.result.measured]
    signs = [throttling[index].sign for index in measured if index in throttling and throttling[index].shown]
    if not signs:
        return ending
    error = Throttled(
        f"throttled in {len(signs)} of {len(measured)} repetitions: {signs[0]}",
        subject=f"device {serial}",
        next_step="Its samples are kept, figures are not given. Cool it, ask for fewer tokens per "
        "repetition, start cooler (--gate strict), or leave power saving. Lower clocks on purpose: "
        "--gate off.",
    )
    return replace(ending, status="throttled", error=error)


def ending_of_device_error(error: DeviceError) -> Ending:
    """The ending of a run whose device stopped answering; `slm pull` may still find its result."""
    return Ending("device_lost", None, error=error)


def ending_of_invalid(error: ResultInvalid, exit_code: int | None) -> Ending:
    """The ending of a run that said it ended well but left no usable result."""
    return Ending("error", exit_code, error=error)


def _failed(what: str, serial: str, next_step: str) -> RunnerFailed:
    return RunnerFailed(what, subject=f"device {serial}", next_step=next_step)
