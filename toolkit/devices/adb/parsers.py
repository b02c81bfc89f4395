"""What adb itself prints, read by pure functions. An unknown layout gives None, never a guess."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto


@dataclass(frozen=True)
class AttachedDevice:
    """One line of ``adb devices -l``.

    Attributes:
        state: adb's word or words: "device", "unauthorized", "no permissions (...)".
        tags: "product", "model", "device", "transport_id", "usb" as adb gives them.
    """

    serial: str
    state: str
    tags: dict[str, str] = field(default_factory=dict)


_TAG = re.compile(r"^([a-z_]+):(.*)$")
# A serial may hold spaces (mDNS names do), so the state is what the line is split at.
_STATES = (
    r"device|offline|unauthorized|authorizing|connecting|bootloader|recovery|rescue|sideload|host|detached"
    r"|unknown|no device|no permissions(?:\s\(.*?\))?(?:; see \[.*?\])?"
)
_DEVICE_LINE = re.compile(rf"^(?P<serial>\S.*?)\s+(?P<state>{_STATES})(?P<tags>(?:\s+\S+:\S*)*)\s*$")

# A state that is not known here is a phone all the same, and no reason to take another device.
_UNKNOWN_STATE = re.compile(r"^(?P<serial>\S+)(?:\t|\s{2,})(?P<state>[a-z]\S*)(?P<tags>(?:\s+\S+:\S*)*)\s*$")


def parse_devices(text: str) -> list[AttachedDevice] | None:
    """Read ``adb devices -l``; notices of the server ("* daemon started") and what is no device are skipped.

    None when the list's title is missing: adb has not got as far as listing anything.
    """
    if not re.search(r"^List of devices", text, re.MULTILINE):
        return None
    found = []
    for line in text.splitlines():
        if line.startswith(("*", "List of devices", "adb server")):
            continue
        if match := _DEVICE_LINE.match(line) or _UNKNOWN_STATE.match(line):
            tags = {m[1]: m[2] for tag in match["tags"].split() if (m := _TAG.match(tag))}
            found.append(AttachedDevice(match["serial"], match["state"], tags))
    return found


class ConnectOutcome(Enum):
    """What ``adb connect`` said."""

    CONNECTED = auto()
    AUTHENTICATING = auto()
    """The phone has not accepted the key yet; adb says "failed to authenticate" but goes on trying."""
    FAILED = auto()


def parse_connect(text: str) -> ConnectOutcome:
    """Read the text of ``adb connect``."""
    lowered = text.lower()
    if "failed to authenticate" in lowered:
        return ConnectOutcome.AUTHENTICATING
    # "already connected to" and "connected to", but not "failed to connect to" or "cannot connect to".
    if re.search(r"^(already )?connected to ", lowered, re.MULTILINE):
        return ConnectOutcome.CONNECTED
    return ConnectOutcome.FAILED


class Failure(Enum):
    """What an adb command's error text means."""

    FULL = auto()
    UNAUTHORIZED = auto()
    NO_PERMISSIONS = auto()
    AMBIGUOUS = auto()
    """Several devices have the serial, which some makers give to all of theirs."""
    LOST = auto()
    MISSING_FILE = auto()
    DENIED = auto()
    OTHER = auto()


_FAILURES: tuple[tuple[str, Failure], ...] = (
    (r"no space left on device", Failure.FULL),
    (r"unauthorized|authorizing", Failure.UNAUTHORIZED),
    (r"no permissions|insufficient permissions", Failure.NO_PERMISSIONS),
    (r"^(?:error|adb): more than one (?:device|emulator)", Failure.AMBIGUOUS),
    (r"no such file or directory|does not exist", Failure.MISSING_FILE),
    (r"permission denied|read-only file system", Failure.DENIED),
    (
        r"device '' not found|device not found|device offline|no devices|error: closed|protocol fault"
        r"|connect failed|connection reset|read failed|couldn't read from device|transport|broken pipe|: eof"
        r"|device still|failed to copy .*: (?:success|remote )?$|short read|undefined error",
        Failure.LOST,
    ),
)


def classify_failure(text: str) -> Failure:
    """Say what the error text of a failed adb command means."""
    # Quoted file names and serials are the user's words, not adb's.
    lowered = re.sub(r"'[^'\n]*'", "''", text.lower())
    for pattern, failure in _FAILURES:
        if re.search(pattern, lowered, re.MULTILINE):
            return failure
    # What the phone refuses adb reports in words; of a connection that broke it may show progress only.
    return Failure.OTHER if re.search(r"error|fail|cannot", lowered) else Failure.LOST
