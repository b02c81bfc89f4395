"""`slm pull`: fetch results that runs left on a device."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from toolkit.cli.fleet import DEVICES_HELP, exit_with_first_failure, run_on_devices
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.profiling.session.pull import LeftRun


def pull(
    device: list[str] = typer.Option([], "--device", "-d", help=DEVICES_HELP),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Fetch results of runs whose host died or link was cut.

    Runs that are still going on are left alone. Safe to repeat: a run is stored once.

    \b
    Examples:
      slm pull
      slm pull --device R5CT1234567 --json
      slm pull --device all
    """  # noqa: D301
    from toolkit.devices.discovery import open_device
    from toolkit.devices.selection import chosen_serials
    from toolkit.profiling.session.pull import pull_left_runs
    from toolkit.profiling.session.session import Session
    from toolkit.store import open_store

    settings = Settings.from_environment()
    serials = chosen_serials(device, settings)
    with open_store(settings.store_url) as store:
        session = Session(settings, store)
        outcomes = run_on_devices(
            serials, lambda serial, _: pull_left_runs(open_device(serial, settings), session)
        )
    pulled = {outcome.serial: outcome.result for outcome in outcomes if outcome.result is not None}
    if as_json:
        rows = [{"device": serial, **asdict(left)} for serial, found in pulled.items() for left in found]
        print(json.dumps(rows, indent=2))
    else:
        for serial, found in pulled.items():
            _print(serial, found)
    exit_with_first_failure(outcomes)


def _print(serial: str, found: list[LeftRun]) -> None:
    if not found:
        print(f"{serial}: nothing left to pull")
    for left in found:
        status = f" with status {left.status}" if left.status else ""
        detail = f": {left.detail}" if left.detail else ""
        print(f"{serial}: run {left.run_id} {left.action.replace('_', ' ')}{status}{detail}")
