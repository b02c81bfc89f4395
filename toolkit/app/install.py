"""Installing the app on a device."""

from __future__ import annotations

from pathlib import Path

from toolkit.app.driver import InstalledApp, needed_app
from toolkit.app.emulated_app import build_emulated_app
from toolkit.devices.base import Device
from toolkit.errors import DeviceNotReady, UsageError
from toolkit.settings import Settings

_TIMEOUT_S = 300.0


def install_app(device: Device, apk: Path | None, settings: Settings) -> InstalledApp:
    """Install the app, in place of another version.

    Args:
        device: a phone; a virtual one gets the same code on a JVM.
        apk: for a real phone.
        settings: what a virtual phone gets is kept in the cache.

    Raises:
        UsageError: no APK for a real phone.
        DeviceNotReady: the phone does not take it.
        DeviceError: the device cannot be reached.
    """
    info = device.info()
    if info.kind != "adb":
        raise DeviceNotReady(
            "apps run on Android alone", serial=device.serial, next_step="Choose a phone: slm devices list"
        )
    if info.emulated:
        if info.abi != "x86_64":
            raise DeviceNotReady(
                f"there is no app for virtual phones of {info.abi}",
                serial=device.serial,
                next_step="Start one of x86_64: slm devices emulate",
            )
        package = build_emulated_app(settings)
    elif apk is None:
        raise UsageError(
            "an APK is needed",
            subject=f"device {device.serial}",
            next_step="Build it with Android Studio (docs/android_app.md) and pass its path.",
        )
    elif not apk.is_file():
        raise UsageError("is no file", subject=str(apk), next_step="Pass the path of an APK.")
    else:
        package = apk
    with device.lock():
        remote = f"{device.workdir}/{package.name}"
        device.push(package, remote)
        try:
            done = device.shell(["pm", "install", "-r", "-t", remote], timeout_s=_TIMEOUT_S)
        finally:
            device.shell(["rm", "-f", remote], timeout_s=_TIMEOUT_S)
        said = (done.stdout + done.stderr).strip()
        if "Success" not in done.stdout:
            raise DeviceNotReady(
                f"the phone does not take the app: {said[-300:]}",
                serial=device.serial,
                next_step="Uninstall another version of it, or allow installing over adb in the settings.",
            )
        return needed_app(device)
