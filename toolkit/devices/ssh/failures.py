"""ssh's error text turned into a typed error."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NoReturn

from toolkit.errors import (
    DeviceError,
    DeviceFull,
    DeviceLost,
    DeviceNotFound,
    DeviceNotReady,
    TransferFailed,
)


class Failure(Enum):
    """What the error text of a failed ssh call means."""

    FULL = auto()
    KEY_REFUSED = auto()
    HOST_KEY = auto()
    UNKNOWN_HOST = auto()
    UNREACHABLE = auto()
    NO_SHELL = auto()
    DENIED = auto()
    LOST = auto()


_FAILURES = (
    (r"no space left on device", Failure.FULL),
    (r"host key verification failed|remote host identification has changed", Failure.HOST_KEY),
    (r"permission denied \(|too many authentication failures", Failure.KEY_REFUSED),
    (r"could not resolve hostname|name or service not known", Failure.UNKNOWN_HOST),
    (r"connect to host .* port|connection timed out|no route to host", Failure.UNREACHABLE),
    (r": restricted|account is (currently )?not available|does not allow .*command", Failure.NO_SHELL),
    (r"permission denied|read-only file system|no such file or directory|is a directory", Failure.DENIED),
)


def classify_failure(text: str) -> Failure:
    """Say what the error text of a failed ssh call means; LOST when it says nothing known."""
    lowered = text.lower()
    return next((failure for pattern, failure in _FAILURES if re.search(pattern, lowered)), Failure.LOST)


def raise_failure(
    text: str, *, serial: str, destination: str, doing: str, otherwise: type[DeviceError]
) -> NoReturn:
    """Raise what ssh's text means.

    Args:
        text: what ssh, or the command on the board, printed to stderr.
        serial: the board, ``ssh:`` included.
        destination: the board as ssh names it.
        doing: what failed: "pushing model.bin".
        otherwise: the error for a text that says nothing known.
    """
    said = " ".join(text.split())[-300:] or "nothing"
    match classify_failure(text):
        case Failure.FULL:
            raise DeviceFull(
                f"It ran out of space while {doing}.",
                serial=serial,
                next_step=f"Free some space on it (ssh {destination} df -h) and run it again.",
            )
        case Failure.KEY_REFUSED:
            raise DeviceNotReady(
                f"It accepts none of your keys: {said}.",
                serial=serial,
                next_step=f"Give it your key: ssh-copy-id {destination}",
            )
        case Failure.HOST_KEY:
            raise DeviceNotReady(
                "Its host key is unknown or has changed.",
                serial=serial,
                next_step=f"Connect once by hand and compare the fingerprint: ssh {destination}",
            )
        case Failure.UNKNOWN_HOST:
            raise DeviceNotFound(
                f"No host of this name: {said}.",
                serial=serial,
                next_step="Check the name, or add it to ~/.ssh/config.",
            )
        case Failure.UNREACHABLE:
            raise DeviceNotReady(
                f"It cannot be reached: {said}.",
                serial=serial,
                next_step=f"Check that it is on and that its ssh server runs: ssh {destination} true",
            )
        case Failure.NO_SHELL:
            raise DeviceNotReady(
                f"Its login shell runs no commands: {said}.",
                serial=serial,
                next_step="Log in as a user with an ordinary shell (as administrator: chsh -s /bin/sh USER).",
            )
        case Failure.DENIED:
            raise TransferFailed(
                f"Failed while {doing}: {said}",
                serial=serial,
                next_step="Check that the path is there and may be used, and run it again.",
            )
    if issubclass(otherwise, DeviceLost):
        raise DeviceLost(
            f"The connection broke while {doing} (ssh said: {said}).",
            serial=serial,
            next_step=f"Check it with `ssh {destination} true` and run the same command again.",
        )
    raise otherwise(
        f"Failed while {doing}: {said}",
        serial=serial,
        next_step="Check that the path is there and may be used, and run it again.",
    )
