"""`slm profile`: run an artifact on devices and store what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.cli.fleet import DEVICES_HELP, exit_with_first_failure, run_on_devices
from toolkit.cli.request_options import takes
from toolkit.profiling.request import ProfileRequest, check_context
from toolkit.progress import remark
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.store.rows import StoredRun


@takes(ProfileRequest, sweep=True)
def profile(
    artifacts: list[Path] = typer.Argument(help="Artifact folders, made by slm convert.", metavar="ARTIFACT"),
    device: list[str] = typer.Option(
        [],
        "--device",
        "-d",
        help=DEVICES_HELP,
        rich_help_panel="Device",
    ),
    *,
    requests: list[ProfileRequest],
    timeout: float | None = typer.Option(
        None,
        "--timeout",
        min=1,
        help="Seconds the runner may take; scaled by the work by default.",
        rich_help_panel="Device",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON.", rich_help_panel="Output"),
) -> None:
    """Push an artifact, run it, and store what was measured.

    Several devices work at the same time, this machine alone after them. One that fails does not touch
    the others' results; the exit code is the first failure's. Options that take N,... run every
    combination, of each artifact. docs/protocol.md says what the numbers mean.

    \b
    Examples:
      slm profile smollm2-8da4w
      slm profile smollm2-8da4w --device R5CT1234567 --device local --threads 4
      slm profile smollm2-8da4w --device all
      slm profile smollm2-8da4w smollm2-8w --prompt-tokens 128,512 --threads 1,2,4
      slm profile smollm2-8da4w --device ssh:pi@raspberrypi
      slm profile smollm2-8da4w --gate strict --max-celsius 38
      slm profile smollm2-8da4w --device 192.168.1.20:5555 --energy
      slm profile smollm2-8da4w --device local --breakdown
      slm profile smollm2-8da4w --prompt-tokens 1024 --generate-tokens 256 --depth 512 --json
    """  # noqa: D301
    from toolkit import api
    from toolkit.artifact import Artifact

    settings = Settings.from_environment()
    work = [(one, request) for one in map(Artifact.load, artifacts) for request in requests]
    if len(work) > 1:
        # All are looked at before the first one runs.
        for artifact, request in work:
            check_context(artifact, request)
    outcomes = []
    for number, (artifact, request) in enumerate(work, start=1):
        if len(work) > 1:
            remark(f"run {number} of {len(work)}: {artifact.name} {request.label()}")
        outcomes += api.profile_on_each(
            artifact, request, device, settings, timeout_s=timeout, run_on_devices=run_on_devices
        )
    runs = [outcome.result for outcome in outcomes if outcome.result is not None]
    _print(runs, as_json)
    exit_with_first_failure(outcomes)


def _print(runs: list[StoredRun], as_json: bool) -> None:
    if as_json:
        from toolkit.store.export import as_json_data

        print(json.dumps([as_json_data(stored) for stored in runs], indent=2))
    elif runs:
        from toolkit.cli.results.run_table import print_runs

        print_runs(runs, just_made=True)
