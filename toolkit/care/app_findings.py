"""The Android app on a phone, for whoever measures with ``--runner app``."""

from __future__ import annotations

from toolkit.app.driver import CONTRACT, app_reads, installed_app
from toolkit.care.finding import Finding
from toolkit.devices.base import Device
from toolkit.errors import DeviceNotReady
from toolkit.profiling import remote


def app_findings(device: Device) -> list[Finding]:
    """Whether the app is there and fits, and whether it reads what `slm push` puts there.

    Raises:
        DeviceError: the phone cannot be reached.
    """
    serial = device.serial
    try:
        app = installed_app(device)
    except DeviceNotReady as error:
        return [Finding(serial, "app", "warn", error.what, error.next_step)]
    if app is None:
        return [Finding(serial, "app", "ok", "not installed; --runner app needs it (slm app install)")]
    if app.contract != CONTRACT:
        next_step = "slm app install" if app.contract < CONTRACT else "Update slm-toolkit."
        words = f"{app.version} speaks version {app.contract} of the contract, this toolkit {CONTRACT}"
        return [Finding(serial, "app", "warn", words, next_step)]
    found = [Finding(serial, "app", "ok", app.version)]
    reads = app_reads(device, remote.artifacts_dir(device))
    if reads is None:
        found.append(Finding(serial, "app reads", "ok", "unknown until an artifact is pushed"))
    elif reads:
        found.append(Finding(serial, "app reads", "ok", "what slm push puts there"))
    else:
        found.append(
            Finding(
                serial,
                "app reads",
                "warn",
                "nothing of what slm push puts there: this phone keeps adb's files from apps, so that "
                "--runner app copies artifacts into the app's own storage, which takes their space once more",
                "Keep that space free; uninstalling the app frees it again.",
            )
        )
    return found
