"""What this machine's /proc and /sys say; "" or None where they cannot be read."""

from __future__ import annotations

import platform
import re
from pathlib import Path

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


def frequencies() -> str:
    """One current frequency in kHz per line and CPU."""
    paths = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
    return "".join(read(path) for path in sorted(paths, key=lambda path: int(path.parts[-3][3:])))


def thermal_zones() -> str:
    """``TYPE VALUE`` lines of all thermal zones."""
    zones = sorted(Path("/sys/class/thermal").glob("thermal_zone*"))
    return "".join(f"{first_line(zone / 'type')} {first_line(zone / 'temp')}\n" for zone in zones)


def battery_percent() -> int | None:
    """Charge of the first battery; None without one."""
    for supply in sorted(_POWER_SUPPLIES.glob("*")):
        if first_line(supply / "type") == "Battery":
            level = first_line(supply / "capacity") or ""
            return int(level) if level.isdigit() else None
    return None


def external_power() -> bool | None:
    """Whether mains power is attached; None when the machine does not say."""
    online = [
        first_line(supply / "online")
        for supply in _POWER_SUPPLIES.glob("*")
        if first_line(supply / "type") in ("Mains", "USB")
    ]
    known = [value == "1" for value in online if value in ("0", "1")]
    return any(known) if known else None
