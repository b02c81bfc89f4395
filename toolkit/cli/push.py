"""`slm push`: put an artifact and its runner on a device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from toolkit.cli.fleet import DEVICES_HELP, exit_with_first_failure, run_on_devices
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.profiling.session.push import Pushed
    from toolkit.progress import ShowProgress


def push(
    artifact: Path = typer.Argument(help="Artifact folder, made by slm convert.", metavar="ARTIFACT"),
    device: list[str] = typer.Option([], "--device", "-d", help=DEVICES_HELP),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Put an artifact and its runner on devices. What is there already is not sent again.

    Every file is hashed on the device before it gets its name.

    \b
    Examples:
      slm push smollm2-8da4w --device R5CT1234567
      slm push smollm2-8da4w --device all --json
    """  # noqa: D301
    from toolkit.artifact import Artifact
    from toolkit.devices.discovery import open_device
    from toolkit.devices.selection import chosen_serials
    from toolkit.profiling.session.push import push as push_to

    settings = Settings.from_environment()
    loaded = Artifact.load(artifact)

    def push_one(serial: str, show_progress: ShowProgress) -> Pushed:
        target = open_device(serial, settings)
        with target.lock():
            return push_to(target, loaded, settings, show_progress=show_progress)

    outcomes = run_on_devices(chosen_serials(device, settings), push_one)
    arrived = {outcome.serial: outcome.result for outcome in outcomes if outcome.result is not None}
    if as_json:
        facts = [_facts(serial, loaded.manifest.sha256, pushed) for serial, pushed in arrived.items()]
        print(json.dumps(facts, indent=2))
    else:
        for serial, pushed in arrived.items():
            print(f"{loaded.name} is on {serial}: {pushed.artifact_dir} ({len(pushed.sent)} files sent)")
    exit_with_first_failure(outcomes)


def _facts(serial: str, artifact_sha256: str, pushed: Pushed) -> dict[str, Any]:
    return {
        "device": serial,
        "artifact": artifact_sha256,
        "artifact_dir": pushed.artifact_dir,
        "bundle": pushed.bundle.model_dump(),
        "sent": pushed.sent,
    }
