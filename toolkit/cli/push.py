"""`slm push`: put an artifact and its runner on a device."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from toolkit.settings import Settings


def push(
    artifact: Path = typer.Argument(help="Artifact folder, made by slm convert.", metavar="ARTIFACT"),
    device: str | None = typer.Option(
        None, "--device", "-d", help="Serial, or local; the attached phone when there is just one."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Put an artifact and its runner on a device. What is there already is not sent again.

    Every file is hashed on the device before it gets its name.

    \b
    Examples:
      slm push smollm2-8da4w --device R5CT1234567
      slm push smollm2-8da4w --device local
    """  # noqa: D301
    from toolkit.artifact import Artifact
    from toolkit.devices.discovery import open_device
    from toolkit.profiling.push import push as push_to
    from toolkit.profiling.targets import chosen_serials

    settings = Settings.from_environment()
    loaded = Artifact.load(artifact)
    [serial] = chosen_serials([device] if device else [], settings)
    target = open_device(serial, settings)
    with target.lock():
        pushed = push_to(target, loaded, settings)
    if as_json:
        facts = {
            "device": serial,
            "artifact": loaded.manifest.sha256,
            "artifact_dir": pushed.artifact_dir,
            "bundle": pushed.bundle.model_dump(),
            "sent": pushed.sent,
        }
        print(json.dumps(facts, indent=2))
    else:
        print(f"{loaded.name} is on {serial}: {pushed.artifact_dir} ({len(pushed.sent)} files sent)")
