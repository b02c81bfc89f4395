"""The runner's command-line flags (device_runner/cli, session and measure)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from toolkit.artifact import GreedyReference
from toolkit.devices.power_supply import PowerSupply
from toolkit.profiling import remote
from toolkit.profiling.request import ProfileRequest


def profile_flags(
    run_dir: str,
    run_id: str,
    options: ProfileRequest,
    reference: GreedyReference | None,
    battery: PowerSupply | None = None,
    *,
    output: str | None = None,
) -> list[str]:
    """Flags of the mode ``profile``; what the options leave open is the runner's choice.

    Args:
        run_dir: the run's folder on the device.
        run_id: goes into every record.
        options: the work.
        reference: the greedy reference, when the artifact has one.
        battery: whose counters are sampled, when energy is asked for.
        output: the result file, where that is not in the run's folder.
    """
    flags = ["--run-id", run_id, "--output", output or f"{run_dir}/{remote.RESULT}"]
    for name in ("prompt_tokens", "generate_tokens", "depth", "repetitions", "warmup"):
        flags += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    flags += engine_flags(options.threads, options.affinity, options.prefill_chunk)
    if options.kernels is not None:
        flags += ["--kernels", options.kernels]
    if options.repeat_s:
        flags += ["--repeat-seconds", str(options.repeat_s)]
    if options.reserve != "run":
        flags += ["--reserve", options.reserve]
    if options.page_cache is not None:
        flags += ["--page-cache", options.page_cache]
    if options.gate.name != "off":
        flags += ["--gate-dir", run_dir, "--gate-timeout", str(options.gate_timeout_s)]
    if battery is not None and options.energy is not None:
        flags += ["--power-current", battery.current_file, "--power-voltage", battery.voltage_file]
        flags += ["--power-interval-ms", str(options.energy.interval_ms)]
        flags += ["--power-baseline-ms", str(round(1000 * options.energy.baseline_s))]
    if reference is not None:
        flags += ["--reference-prompt", f"{run_dir}/{remote.PROMPT}"]
        flags += ["--reference-continuation", f"{run_dir}/{remote.CONTINUATION}"]
    return flags


def engine_flags(threads: int, affinity: Sequence[int] = (), prefill_chunk: int = 0) -> list[str]:
    """Flags that every mode knows; zero and empty leave the choice to the runner."""
    flags = ["--threads", str(threads)] if threads else []
    if affinity:
        flags += ["--affinity", ",".join(str(cpu) for cpu in affinity)]
    if prefill_chunk:
        flags += ["--prefill-chunk", str(prefill_chunk)]
    return flags


def write_token_ids(path: Path, ids: Sequence[int]) -> None:
    """Write a token file as the runner reads it: decimal ids separated by white space."""
    path.write_text(" ".join(str(token) for token in ids) + "\n", encoding="utf-8")
