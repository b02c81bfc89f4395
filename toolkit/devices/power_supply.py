"""The kernel's power supplies: who they are, and where the battery's counters lie.

Units and signs in these files are the driver's choice on phones, whatever the kernel's documentation asks
for; nothing here interprets them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

_MARK = "@@supply "

# $1 is the folder of power supplies.
SUPPLIES_SCRIPT = f"""
for supply in "$1"/*; do
  echo "{_MARK}$supply"
  for name in type status online current_now voltage_now; do
    [ -r "$supply/$name" ] && echo "$name $(cat "$supply/$name")"
  done
done 2>/dev/null
"""
SUPPLIES_FOLDER = "/sys/class/power_supply"

# Of several batteries the one that Android itself reads comes first, then the fuel gauges behind it.
_PREFERRED = ("battery", "bms", "maxfg", "BAT0", "BAT1")
_BATTERY_KINDS = ("Battery", "BMS")


@dataclass(frozen=True)
class PowerSupply:
    """One power supply; None where its driver does not say, or the shell may not read it.

    Attributes:
        path: its folder.
        kind: the kernel's type: "Battery", "USB", "Mains", "BMS" ...
        status: "Charging", "Discharging", "Full", "Not charging" ...
        current: ``current_now`` as it is.
        voltage: ``voltage_now`` as it is.
    """

    path: str
    kind: str | None = None
    status: str | None = None
    current: int | None = None
    voltage: int | None = None

    @property
    def current_file(self) -> str:
        """Where the current is read."""
        return f"{self.path}/current_now"

    @property
    def voltage_file(self) -> str:
        """Where the voltage is read."""
        return f"{self.path}/voltage_now"


def parse_power_supplies(text: str) -> list[PowerSupply]:
    """Read the output of SUPPLIES_SCRIPT."""
    supplies = []
    for part in f"\n{text}".split(f"\n{_MARK}")[1:]:
        path, *lines = part.splitlines()
        fields = dict(line.split(" ", 1) for line in lines if " " in line)
        supplies.append(
            PowerSupply(
                path=path.strip(),
                kind=fields.get("type"),
                status=fields.get("status"),
                current=_integer(fields.get("current_now", "")),
                voltage=_integer(fields.get("voltage_now", "")),
            )
        )
    return supplies


def battery_with_counters(supplies: list[PowerSupply]) -> PowerSupply | None:
    """The battery whose current and voltage can both be read; None when there is none."""
    readable = [
        supply
        for supply in supplies
        if supply.kind in _BATTERY_KINDS and supply.current is not None and supply.voltage is not None
    ]
    return min(readable, key=_rank, default=None)


def _rank(supply: PowerSupply) -> tuple[int, str]:
    name = PurePosixPath(supply.path).name
    return (_PREFERRED.index(name) if name in _PREFERRED else len(_PREFERRED), supply.path)


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\s*-?[0-9]{1,18}\s*", text) else None
