"""`slm devices clean` and `slm devices release`: give a device back what the toolkit took."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from toolkit.cli.fleet import exit_with_first_failure, run_on_devices
from toolkit.cli.tables import line_width, print_folded
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.care.cleaning import Kept

_DEVICES = typer.Option(
    [], "--device", "-d", help="Serial, ssh:USER@HOST, local, or all; may be repeated. As for slm profile."
)


def clean(
    device: list[str] = _DEVICES,
    dry_run: bool = typer.Option(False, "--dry-run", help="Show what would be removed, and its size."),
    runs: bool = typer.Option(
        False, "--runs", help="Also end runs that go on, and remove results that have not been pulled."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Remove artifacts, runners and old runs from devices.

    What the toolkit did not put there stays.

    Runs that are going on stay, and so do results that nobody has pulled yet, unless --runs is given.

    \b
    Examples:
      slm devices clean --dry-run
      slm devices clean --device R5CT1234567
      slm devices clean --device all --runs
    """  # noqa: D301
    from toolkit.care.cleaning import clean as clean_device
    from toolkit.care.cleaning import kept_on
    from toolkit.devices.discovery import open_device
    from toolkit.devices.selection import chosen_serials

    settings = Settings.from_environment()

    def serve(serial: str, _: object) -> list[Kept]:
        target = open_device(serial, settings)
        return kept_on(target, drop_runs=runs) if dry_run else clean_device(target, drop_runs=runs)

    outcomes = run_on_devices(chosen_serials(device, settings), serve)
    found = {outcome.serial: outcome.result for outcome in outcomes if outcome.result is not None}
    if as_json:
        rows = [{"device": serial, **asdict(kept)} for serial, all_kept in found.items() for kept in all_kept]
        print(json.dumps(rows, indent=2))
    else:
        names = _artifact_names(settings)
        for serial, all_kept in found.items():
            _print(serial, all_kept, names, dry_run)
    exit_with_first_failure(outcomes)


def release(device: list[str] = _DEVICES) -> None:
    """Remove the lease of another host that is gone for good.

    A lease ends by itself; a host that is still at work on the device stops at its next step.

    \b
    Examples:
      slm devices release --device R5CT1234567
    """  # noqa: D301
    from toolkit.devices.discovery import open_device
    from toolkit.devices.selection import chosen_serials
    from toolkit.devices.shell_device import ShellDevice

    settings = Settings.from_environment()

    def serve(serial: str, _: object) -> None:
        target = open_device(serial, settings)
        # This machine has no lease: its lock is the kernel's.
        if isinstance(target, ShellDevice):
            target.release()

    exit_with_first_failure(run_on_devices(chosen_serials(device, settings), serve))


def _artifact_names(settings: Settings) -> dict[str, str]:
    """Names of artifacts that have run, by how their folders on devices are called."""
    import sqlalchemy as sa

    from toolkit.profiling.remote import artifact_folder
    from toolkit.store import open_store, tables

    artifacts = tables.artifacts.c
    with open_store(settings.store_url) as store, store.reading() as connection:
        rows = connection.execute(sa.select(artifacts.sha256, artifacts.name)).all()
    return {artifact_folder(sha256): name for sha256, name in rows}


def _print(serial: str, found: list[Kept], names: Mapping[str, str], dry_run: bool) -> None:
    going = [kept for kept in found if kept.kept_because is None]
    total = sum(kept.size_bytes for kept in going)
    for kept in found:
        what = "keep" if kept.kept_because else "would remove" if dry_run else "removed"
        name = names.get(kept.path.rpartition("/")[2])
        called = f" {name}" if name and kept.kind == "artifact" else ""
        because = f" ({kept.kept_because}; slm pull)" if kept.kept_because else ""
        told = f"{serial}: {what} {kept.kind}{called} {kept.path}, {kept.size_bytes / 1e6:.1f} MB{because}"
        print_folded(told, width=line_width(), indent="    ")
    print(f"{serial}: {'would free' if dry_run else 'freed'} {total / 1e6:.1f} MB")
