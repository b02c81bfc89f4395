"""Which device is this? What its hardware says, never the name under which adb or ssh reaches it.

One phone has a serial on USB, another one over Wi-Fi, a third by mDNS, and a new port after a restart. Two
questions are asked, and each has its own answer:

- *Is it in use?* The running system says: its boot id, with the pid namespace, because containers share their
  host's boot id. Two names with the same answer are one device at this moment.
- *Whose runs are these?* The hardware's serial number says (``ro.serialno``, a board's device tree), which
  stays over restarts. Where there is none, or one that a maker gave to every device, the name has to do.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from toolkit.devices.sections import section, split_sections

# Each part may be missing on some device without taking the others with it.
IDENTITY_SCRIPT = f"""
{section("serialno")}
for name in ro.serialno ro.boot.serialno; do getprop $name; done 2>/dev/null
tr -d '\\0' </proc/device-tree/serial-number 2>/dev/null
{section("boot-id")}; cat /proc/sys/kernel/random/boot_id 2>/dev/null
{section("pid-namespace")}; readlink /proc/self/ns/pid 2>/dev/null
"""

_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{4,62}")
_BOOT_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAMESPACE = re.compile(r"pid:\[(\d+)\]")
# What makers and emulators give to every device begins so.
_SHARED = (
    *("unknown", "default", "android", "emulator", "serial", "none", "null", "c4f12fdd949f22f"),
    *("0123456", "1234567"),
)
# A maker's day, such as the 20080411 of many devices with Allwinner's chips, is no number of one device.
_DATE = re.compile(r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])")


@dataclass(frozen=True)
class Identity:
    """What a device is; None where it does not say.

    Attributes:
        hardware: the hardware's serial number, which stays.
        system: the running system, until it starts anew.
    """

    hardware: str | None = None
    system: str | None = None


def parse_identity(text: str) -> Identity:
    """Read the output of IDENTITY_SCRIPT."""
    sections = split_sections(text)
    return Identity(
        hardware=trusted_serial(sections.get("serialno", "").splitlines()),
        system=running_system(sections.get("boot-id", ""), sections.get("pid-namespace", "")),
    )


def trusted_serial(candidates: Iterable[str]) -> str | None:
    """The first serial number that only one device can have."""
    for candidate in map(str.strip, candidates):
        shared = candidate.lower().startswith(_SHARED) or len(set(candidate)) < 3
        shared = shared or _DATE.fullmatch(candidate) is not None
        if _SERIAL.fullmatch(candidate) and not shared:
            return candidate
    return None


def believed(identities: Mapping[str, Identity]) -> dict[str, Identity]:
    """Identities by name, without serial numbers that two running systems claim: a maker gave them to many.

    A phone that adb calls by that very number keeps it: its name has to do, and is the same.
    """
    claimed: dict[str, set[str]] = defaultdict(set)
    for identity in identities.values():
        if identity.hardware is not None and identity.system is not None:
            claimed[identity.hardware].add(identity.system)
    return {
        name: replace(identity, hardware=None)
        if identity.hardware != name and len(claimed.get(identity.hardware or "", ())) > 1
        else identity
        for name, identity in identities.items()
    }


def running_system(boot_id: str, pid_namespace: str) -> str | None:
    """A name for a running system from its boot id and ``readlink /proc/self/ns/pid``."""
    boot_id = boot_id.strip()
    if not _BOOT_ID.fullmatch(boot_id):
        return None
    namespace = _NAMESPACE.fullmatch(pid_namespace.strip())
    return f"{boot_id}.{namespace[1]}" if namespace else boot_id
