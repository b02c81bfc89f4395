"""What this machine's /proc and /sys say; "" or None where they cannot be read."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from pathlib import Path

from toolkit.devices import identity
from toolkit.devices.battery import PowerSource
from toolkit.devices.cpus import FOLDER, cpus_text

_POWER_SUPPLIES = Path("/sys/class/power_supply")


def read(path: str | Path) -> str:
    """Return a file's text, or "" when it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def first_line(path: str | Path) -> str | None:
    """Return a file's first line, or None when it is empty or cannot be read."""
    return read(path).strip().partition("\n")[0] or None


def cpu_name() -> str | None:
    """The CPU's marketing name; ARM kernels give none."""
    match = re.search(r"^model name\s*:\s*(.+)$", read("/proc/cpuinfo"), re.MULTILINE)
    return match[1].strip() if match else None


def os_name() -> str | None:
    """The distribution's pretty name, or the kernel's."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system() or None


def running_system() -> str | None:
    """This machine's running system, as :mod:`toolkit.devices.identity` names it."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return identity.running_system(read("/proc/sys/kernel/random/boot_id"), namespace)


def machine() -> str | None:
    """A name for this machine that tells it from others and gives nothing of it away; None without one.

    It is made from systemd's machine id, which stays over restarts (man machine-id: "should be hashed").
    """
    for file in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        told = first_line(file) or ""
        if re.fullmatch("[0-9a-f]{32}", told) and len(set(told)) > 3:
            return f"local-{hashlib.sha256(f'slm-toolkit {told}'.encode()).hexdigest()[:8]}"
    return None


def cpus() -> str:
    """What :data:`toolkit.devices.cpus.CPUS_SCRIPT` prints on a device."""
    folder = Path(FOLDER)
    numbers = sorted(int(path.name[3:]) for path in folder.glob("cpu[0-9]*") if path.name[3:].isdigit())
    return cpus_text(lambda name: first_line(folder / name), numbers)


def thermal_zones() -> str:
    """``TYPE VALUE`` lines of all thermal zones."""
    zones = sorted(Path("/sys/class/thermal").glob("thermal_zone*"))
    return "".join(f"{first_line(zone / 'type')} {first_line(zone / 'temp')}\n" for zone in zones)


def battery_percent(supplies: Path = _POWER_SUPPLIES) -> int | None:
    """Charge of this machine's first battery; None without one."""
    for supply in _own_supplies(supplies):
        if _kind(supply) == "Battery":
            level = first_line(supply / "capacity") or ""
            return int(level) if level.isdigit() else None
    return None


def power_source(supplies: Path = _POWER_SUPPLIES) -> PowerSource | None:
    """What powers this machine; None when it does not say, as most desktops and servers do not."""
    own = _own_supplies(supplies)
    # A notebook has a supply for each of its ports, and most of them are empty.
    plugged = {_kind(supply) for supply in own if first_line(supply / "online") == "1"}
    if "Mains" in plugged:
        return "ac"
    # Older kernels tell kinds of USB apart: USB_C, USB_PD, USB_DCP ...
    if any(kind.startswith("USB") for kind in plugged):
        return "usb"
    if "Wireless" in plugged:
        return "wireless"
    batteries = [supply for supply in own if _kind(supply) == "Battery"]
    statuses = [first_line(supply / "status") for supply in batteries]
    if "Charging" in statuses:
        # By something that no supply names.
        return None
    unplugged = any(first_line(supply / "online") == "0" for supply in own)
    drained = "Discharging" in statuses
    return "battery" if batteries and (unplugged or drained) else None


def _own_supplies(supplies: Path) -> list[Path]:
    # The batteries of mice and headsets say that they are a device's.
    return [supply for supply in sorted(supplies.glob("*")) if first_line(supply / "scope") != "Device"]


def _kind(supply: Path) -> str:
    return first_line(supply / "type") or ""
