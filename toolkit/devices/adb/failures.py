"""adb's error text turned into a typed error."""

from __future__ import annotations

import re
from typing import NoReturn

from toolkit.devices.adb.parsers import Failure, classify_failure
from toolkit.devices.states import advice_for
from toolkit.errors import DeviceError, DeviceFull, DeviceLost, DeviceNotReady, TransferFailed

_LOST_NEXT = "Reconnect the phone, check it with `slm devices list`, and run the same command again."

# The number tells devices apart whose serials do not.
_TCP = "`adb -t TRANSPORT_ID tcpip 5555`, the number is in `adb devices -l`, then `adb connect ADDRESS`"


def raise_failure(text: str, *, serial: str, doing: str, otherwise: type[DeviceError]) -> NoReturn:
    """Raise what adb's text means.

    Args:
        text: what adb printed.
        serial: the phone.
        doing: what failed: "pushing model.bin".
        otherwise: the error for a text that says nothing known.
    """
    said = _complaint(text)
    match classify_failure(text):
        case Failure.FULL:
            raise DeviceFull(
                f"The phone ran out of space while {doing}.",
                serial=serial,
                next_step="Free some space on the phone (`adb shell df -h /data`) and run it again.",
            )
        case Failure.UNAUTHORIZED:
            raise DeviceNotReady(
                f"Not authorized while {doing}.", serial=serial, next_step=advice_for("unauthorized", serial)
            )
        case Failure.NO_PERMISSIONS:
            raise DeviceNotReady(
                f"No permission to use the phone while {doing}.",
                serial=serial,
                next_step=advice_for("no permissions", serial),
            )
        case Failure.AMBIGUOUS:
            raise DeviceNotReady(
                f"adb lists more than one device with this serial (while {doing}).",
                serial=serial,
                next_step=f"Leave one of them attached, or reach one over the network ({_TCP}). "
                "If only one is attached, the other line is stale: `adb kill-server`.",
            )
        case Failure.MISSING_FILE | Failure.DENIED:
            raise TransferFailed(
                f"Failed while {doing}: adb said: {said}",
                serial=serial,
                next_step="Check that the path is there and may be used, and run it again.",
            )
        case Failure.LOST:
            raise DeviceLost(
                f"The phone vanished while {doing} (adb said: {said}).", serial=serial, next_step=_LOST_NEXT
            )
    if issubclass(otherwise, DeviceLost):
        raise otherwise(
            f"The connection broke while {doing} (adb said: {said}).", serial=serial, next_step=_LOST_NEXT
        )
    raise otherwise(
        f"Failed while {doing}: adb said: {said}",
        serial=serial,
        next_step="Check that the path is there and may be used, and run it again.",
    )


def _complaint(text: str) -> str:
    """What adb complains of, without its progress and its premature "1 file pushed"."""
    lines = [line.strip() for line in text.splitlines()]
    complaints = [
        line for line in lines if re.search(r"error|fail|cannot|unable|device", line, re.IGNORECASE)
    ]
    return " ".join(complaints)[-300:] or "nothing"
