"""`slm doctor`: is everything here that a measurement needs?"""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.artifact import Artifact
    from toolkit.care.finding import Finding


def doctor(
    device: list[str] = typer.Option(
        [],
        "--device",
        "-d",
        help="Serial, ssh:USER@HOST, local, or all for every attached phone (the default); may be repeated.",
    ),
    artifact: Path | None = typer.Option(
        None, "--artifact", help="Artifact folder: check space and memory for it."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Check this machine and devices, and say what to do. One line each: ok, warn or fail.

    Nothing is changed anywhere. The exit code is that of the worst line: 0 ok, 1 warn, 2 fail.

    \b
    Examples:
      slm doctor
      slm doctor --device R5CT1234567 --artifact smollm2-8da4w
      slm doctor --device local --json
    """  # noqa: D301
    from toolkit.artifact import Artifact
    from toolkit.care.finding import Finding, exit_code
    from toolkit.care.host_findings import host_findings
    from toolkit.errors import AdbServerFailed

    settings = Settings.from_environment()
    loaded = Artifact.load(artifact) if artifact else None
    findings = host_findings(settings)
    try:
        serials = _serials(device, settings)
    except AdbServerFailed as error:
        findings.append(Finding("host", "phones", "fail", error.what, error.next_step))
        serials = []
    for serial in serials:
        findings += _look_at(serial, loaded, settings)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings)
    raise typer.Exit(exit_code(findings))


def _serials(named: list[str], settings: Settings) -> list[str]:
    """Those named, each once; without a name every attached phone, which may be none."""
    from toolkit.devices.discovery import attached_phones
    from toolkit.devices.selection import ALL

    serials: list[str] = []
    for name in named or [ALL]:
        serials += [phone.serial for phone in attached_phones(settings)] if name == ALL else [name]
    return list(dict.fromkeys(serials))


def _look_at(serial: str, artifact: Artifact | None, settings: Settings) -> list[Finding]:
    from toolkit.care.app_findings import app_findings
    from toolkit.care.device_findings import device_facts, device_findings
    from toolkit.care.finding import Finding
    from toolkit.devices.discovery import open_device
    from toolkit.devices.lease import host_id
    from toolkit.errors import DeviceError

    try:
        opened = open_device(serial, settings)
        facts, info = device_facts(opened), opened.info()
        found = device_findings(
            info, facts, opened.readings(), host=host_id(settings.data_dir / "locks"), artifact=artifact
        )
        return found + (app_findings(opened) if info.kind == "adb" else [])
    except DeviceError as error:
        return [Finding(serial, "state", "fail", error.what, error.next_step)]


def _print(findings: list[Finding]) -> None:
    from toolkit.cli.tables import Column, line_width, print_table

    width = line_width()
    longest = max(len(finding.check) for finding in findings)
    # The empty column indents; numbers are not folded, nor are the names of checks.
    columns = (Column(""), Column("level"), Column("check", numeric=True), Column("found", least=24))
    for number, (subject, found) in enumerate(groupby(findings, lambda finding: finding.subject)):
        print(f"{chr(10) if number else ''}{subject}")
        rows = []
        for finding in found:
            rows.append(("", f"{finding.level:<4}", f"{finding.check:<{longest}}", finding.found))
            if finding.next_step:
                rows.append(("", "", "", f"next: {finding.next_step}"))
        print_table(columns, rows, width=width, header=False)
