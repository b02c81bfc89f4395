"""``dumpsys battery``, read by a pure function; what it does not say is None."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

PowerSource = Literal["ac", "usb", "wireless", "dock", "battery"]

# android.os.BatteryManager.BATTERY_PLUGGED_*, in the order in which one is named when several are attached.
_PLUGS: tuple[tuple[str, PowerSource], ...] = (
    ("AC powered", "ac"),
    ("USB powered", "usb"),
    ("Wireless powered", "wireless"),
    ("Dock powered", "dock"),
)
# After `dumpsys battery unplug` or `set`, the service tells what it was told to tell.
_FROZEN = "(UPDATES STOPPED"
# android.os.BatteryManager.BATTERY_STATUS_CHARGING. Others say nothing of plugs: a phone that was just
# unplugged is full, too.
_CHARGING = "2"
_PLAUSIBLE_DECIDEGREES = (-400, 1500)


@dataclass(frozen=True)
class Battery:
    """Charge and power.

    Attributes:
        percent: charge level.
        charging: whether external power is attached, charging the battery or not.
        source: what powers the phone.
        celsius: the battery's temperature.
        charge_uah: the charge in it, in microampere-hours.
    """

    percent: int | None = None
    charging: bool | None = None
    source: PowerSource | None = None
    celsius: float | None = None
    charge_uah: int | None = None


def parse_battery(text: str) -> Battery:
    """Read ``dumpsys battery`` of any Android version; makers append lines of their own."""
    if _FROZEN in text:
        return Battery()
    fields: dict[str, str] = {}
    for name, value in re.findall(r"^\s{2}([A-Za-z ]+): (\S+)\s*$", text, re.MULTILINE):
        # What a maker appends, of a second battery, say, does not replace what Android says.
        fields.setdefault(name, value)
    powered = {plug: fields.get(name) for name, plug in _PLUGS}
    attached = [plug for plug, value in powered.items() if value == "true"]
    # Versions differ in which plugs they know, but none says nothing about mains and USB.
    told = powered["ac"] in ("true", "false") and powered["usb"] in ("true", "false")
    # A plug of the maker's own, such as "Pogo powered", gives power as well; which kind is not known.
    other = any(name.endswith(" powered") and value == "true" for name, value in fields.items())
    # A battery that is being charged is so by something, whether a plug is named or not.
    other = other or fields.get("status") == _CHARGING
    charging = True if attached or other else False if told else None
    return Battery(
        percent=_percent(fields),
        charging=charging,
        source=attached[0] if attached else "battery" if charging is False else None,
        celsius=_celsius(fields.get("temperature", "")),
        charge_uah=_charge(fields.get("Charge counter", "")),
    )


def _percent(fields: dict[str, str]) -> int | None:
    level, scale = fields.get("level", ""), fields.get("scale", "")
    if fields.get("present") == "false" or not (level.isdecimal() and scale.isdecimal()):
        return None
    whole = int(scale)
    return round(100 * int(level) / whole) if 0 <= int(level) <= whole > 0 else None


def _charge(counter: str) -> int | None:
    """Exactly zero is what phones without a counter give."""
    return int(counter) if re.fullmatch(r"[0-9]{1,9}", counter) and int(counter) > 0 else None


def _celsius(tenths: str) -> float | None:
    """Android gives tenths of a degree; exactly zero is what drivers without a sensor give."""
    if not re.fullmatch(r"-?\d{1,5}", tenths):
        return None
    low, high = _PLAUSIBLE_DECIDEGREES
    return int(tenths) / 10 if low < int(tenths) < high and int(tenths) != 0 else None
