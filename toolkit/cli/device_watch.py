"""`slm devices watch`: what all devices are doing, live."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from toolkit.errors import ToolkitError
from toolkit.settings import Settings

if TYPE_CHECKING:
    from rich.text import Text

    from toolkit.care.watching import Watch, Watched
    from toolkit.devices.base import Readings

# Android's words for its thermal status.
_HEAT = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")


def watch(
    interval: float = typer.Option(5.0, "--interval", min=0.5, help="Seconds between two looks."),
    rounds: int | None = typer.Option(None, "--rounds", min=1, help="Look so often, then end."),
    as_json: bool = typer.Option(False, "--json", help="Print a line of JSON per look and device."),
) -> None:
    """Watch devices: state, heat, battery, who uses them, what runs.

    A device in use is not asked anything, so that watching does not disturb what is measured: its readings
    are those of before. Another host's lease is believed until it ends. A look that fails, when adb starts
    again for instance, is said and the next one tried. Ctrl-C ends the watch.

    \b
    Examples:
      slm devices watch
      slm devices watch --rounds 1 --json
      slm devices watch --json --interval 60 >> lab.jsonl
    """  # noqa: D301
    import sys

    from toolkit.care.watching import Watch

    watching = Watch(Settings.from_environment())
    left = rounds
    try:
        if as_json or not sys.stdout.isatty():
            while left is None or left > 0:
                _print(watching, as_json)
                left = _after(left, interval)
            return
        from rich.console import Group
        from rich.live import Live

        with Live(auto_refresh=False) as live:
            while left is None or left > 0:
                live.update(Group(*_seen(watching)), refresh=True)
                left = _after(left, interval)
    except KeyboardInterrupt:
        # That is how a watch ends.
        return


def _after(left: int | None, interval: float) -> int | None:
    """Rounds that are left, once it is time for the next."""
    if left is not None:
        left -= 1
    if left != 0:
        time.sleep(interval)
    return left


def _print(watching: Watch, as_json: bool) -> None:
    if not as_json:
        for line in _seen(watching):
            print(line.plain, flush=True)
        return
    try:
        seen = watching.look()
    except ToolkitError as error:
        # The next look may succeed: a lab's watch outlives a restart of adb.
        print(json.dumps({"looked_unix_ns": time.time_ns(), "error": str(error)}), flush=True)
        return
    for one in seen:
        looked = {"looked_unix_ns": time.time_ns(), **asdict(one)}
        print(json.dumps(looked), flush=True)


def _seen(watching: Watch) -> list[Text]:
    """A look as lines; one that failed says why, and the next one may succeed."""
    from rich.text import Text

    try:
        return _table(watching.look())
    except ToolkitError as error:
        return [Text(f"{_now()}: {error}")]


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _table(seen: Sequence[Watched]) -> list[Text]:
    from rich.text import Text

    from toolkit.cli.tables import Column, folded, line_width, table_lines

    columns = (
        Column("DEVICE"),
        Column("STATE", style=lambda text: "" if text == "device" else "red"),
        Column("CPU", numeric=True, rank=2),
        Column("HEAT", rank=1, style=lambda text: "red" if text in _HEAT[2:] else ""),
        Column("BATTERY", numeric=True, rank=3),
        Column("READ", rank=5),
        Column("USED BY", least=12),
    )
    rows = [
        (
            one.name or one.serial,
            one.state,
            *_readings(one.readings),
            one.used_by or "-",
        )
        for one in seen
    ]
    width = line_width()
    lines, _ = table_lines(columns, rows, width=width)
    # Below the table: commands are longer than any column has room for.
    said = [f"{one.name or one.serial} runs {one.running}" for one in seen if one.running]
    said += [f"{one.serial}: {one.advice}" for one in seen if one.advice]
    below = [Text(line) for text in said for line in folded(text, width=width, indent="  ")]
    return [Text(_now()), *lines, *below]


def _readings(readings: Readings | None) -> tuple[str, str, str, str]:
    if readings is None:
        return "?", "?", "?", "-"
    celsius, status, percent = (
        readings.hottest_cpu_celsius,
        readings.thermal_status,
        readings.battery_percent,
    )
    charging = {True: " charging", False: "", None: ""}[readings.charging]
    read = datetime.fromtimestamp(readings.unix_ns // 1_000_000_000, UTC)
    return (
        "?" if celsius is None else f"{celsius:.0f} C",
        "?" if status is None else _HEAT[min(status, len(_HEAT) - 1)],
        "?" if percent is None else f"{percent}%{charging}",
        f"{read:%H:%M:%S}",
    )
