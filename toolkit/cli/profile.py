"""`slm profile`: run an artifact on devices and store what was measured."""

from __future__ import annotations

import json
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.cli.fleet import DEVICES_HELP, exit_with_first_failure, run_on_devices
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.artifact import Artifact
    from toolkit.devices.parallel import Outcome
    from toolkit.profiling.options import ProfileOptions
    from toolkit.profiling.session.session import Session
    from toolkit.progress import ShowProgress
    from toolkit.store.rows import StoredRun


class Kernels(StrEnum):
    """Whose kernels the runner uses."""

    own = "own"
    engine = "engine"


def profile(
    artifact: Path = typer.Argument(help="Artifact folder, made by slm convert.", metavar="ARTIFACT"),
    device: list[str] = typer.Option(
        [],
        "--device",
        "-d",
        help=DEVICES_HELP,
    ),
    prompt_tokens: int = typer.Option(512, "--prompt-tokens", min=1, help="Tokens prefilled (pp)."),
    generate_tokens: int = typer.Option(128, "--generate-tokens", min=1, help="Tokens generated (tg)."),
    depth: int = typer.Option(0, "--depth", min=0, help="Tokens in the KV cache before the prefill."),
    repetitions: int = typer.Option(5, "--repetitions", "-r", min=1, help="Measured repetitions."),
    warmup: int = typer.Option(1, "--warmup", min=0, help="Repetitions before them that do not count."),
    threads: int = typer.Option(0, "--threads", "-t", min=0, help="Engine threads; 0: the runner's choice."),
    affinity: str = typer.Option("", "--affinity", help="CPUs the runner may use, like 0,2,4-7."),
    prefill_chunk: int = typer.Option(
        0, "--prefill-chunk", min=0, help="Prompt tokens per prefill call; 0: the runner's choice."
    ),
    kernels: Kernels | None = typer.Option(
        None, "--kernels", help="Whose kernels multiply with quantized weights; default: own where they fit."
    ),
    gate: str = typer.Option(
        "default", "--gate", help="Wait until the device is cool and idle: off, default or strict."
    ),
    max_celsius: float | None = typer.Option(
        None, "--max-celsius", min=1, help="Gate: hottest CPU zone (phones 40, strict 35)."
    ),
    max_cpu_busy: float | None = typer.Option(
        None, "--max-cpu-busy", min=0.01, max=1, help="Gate: busy part of the CPUs (phones 0.3, strict 0.2)."
    ),
    min_battery: int | None = typer.Option(
        None, "--min-battery", min=0, max=100, help="Gate: charge in percent (20, strict 50)."
    ),
    gate_limit: float = typer.Option(
        300, "--gate-limit", min=0, help="Seconds that one repetition may wait at the gate."
    ),
    energy: bool = typer.Option(
        False, "--energy", help="Measure joules with the battery's counters; the phone must not charge."
    ),
    allow_charging: bool = typer.Option(
        False, "--allow-charging", help="With --energy: measure although it charges; the run is marked."
    ),
    energy_baseline: float = typer.Option(
        10, "--energy-baseline", min=1, help="With --energy: seconds to watch the idle device before."
    ),
    timeout: float | None = typer.Option(
        None, "--timeout", min=1, help="Seconds the runner may take; scaled by the work by default."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Push an artifact, run it, and store what was measured.

    Several devices work at the same time, this machine alone after them. One that fails does not touch
    the others' results; the exit code is the first failure's. docs/protocol.md says what the numbers mean.

    \b
    Examples:
      slm profile smollm2-8da4w
      slm profile smollm2-8da4w --device R5CT1234567 --device local --threads 4
      slm profile smollm2-8da4w --device all
      slm profile smollm2-8da4w --device ssh:pi@raspberrypi
      slm profile smollm2-8da4w --gate strict --max-celsius 38
      slm profile smollm2-8da4w --device 192.168.1.20:5555 --energy
      slm profile smollm2-8da4w --prompt-tokens 1024 --generate-tokens 256 --depth 512 --json
    """  # noqa: D301
    from toolkit.artifact import Artifact
    from toolkit.devices.selection import chosen_serials
    from toolkit.errors import UsageError
    from toolkit.profiling.energy_options import EnergyOptions
    from toolkit.profiling.gate_options import gate_options
    from toolkit.profiling.options import ProfileOptions, check_context, parse_affinity
    from toolkit.profiling.session.session import Session
    from toolkit.store import open_store

    options = ProfileOptions(
        prompt_tokens=prompt_tokens,
        generate_tokens=generate_tokens,
        depth=depth,
        repetitions=repetitions,
        warmup=warmup,
        threads=threads,
        affinity=parse_affinity(affinity),
        prefill_chunk=prefill_chunk,
        kernels=kernels.value if kernels is not None else None,
        gate=gate_options(
            gate,
            max_celsius=max_celsius,
            max_cpu_busy=max_cpu_busy,
            min_battery_percent=min_battery,
            time_limit_s=gate_limit,
        ),
        energy=EnergyOptions(allow_charging=allow_charging, baseline_s=energy_baseline) if energy else None,
    )
    if allow_charging and not energy:
        raise UsageError("--allow-charging means nothing without --energy", next_step="Add --energy.")
    settings = Settings.from_environment()
    loaded = Artifact.load(artifact)
    check_context(loaded, options)
    serials = chosen_serials(device, settings)
    # Opened before the run: a store that cannot be used shows now, not after minutes of measuring.
    with open_store(settings.store_url) as store:
        session = Session(settings, store, timeout_s=timeout)
        outcomes = _profile_all(serials, loaded, options, session)
    _print([outcome.result for outcome in outcomes if outcome.result is not None], as_json)
    exit_with_first_failure(outcomes)


def _profile_all(
    serials: list[str], artifact: Artifact, options: ProfileOptions, session: Session
) -> list[Outcome[StoredRun]]:
    from toolkit.devices.discovery import open_device
    from toolkit.profiling.session.session import profile as profile_on

    def profile_one(serial: str, show_progress: ShowProgress) -> StoredRun:
        own = replace(session, show_progress=show_progress)
        return profile_on(open_device(serial, session.settings), artifact, options, own)

    return run_on_devices(serials, profile_one)


def _print(runs: list[StoredRun], as_json: bool) -> None:
    if as_json:
        from toolkit.store.export import as_json_data

        print(json.dumps([as_json_data(stored) for stored in runs], indent=2))
    elif runs:
        from toolkit.cli.results.run_table import print_runs

        print_runs(runs)
