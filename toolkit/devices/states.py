"""What each of adb's device states means for the user."""

from __future__ import annotations

_ADVICE = {
    "unauthorized": "Unlock the phone and accept the 'Allow USB debugging?' question; if it does not appear, "
    "unplug and plug the cable, or revoke USB debugging authorizations in the developer options.",
    "authorizing": "Wait a moment, then accept the 'Allow USB debugging?' question on the phone.",
    "connecting": "Wait a moment and list the devices again.",
    "offline": "Unplug and plug the cable (over Wi-Fi: `adb disconnect {serial}`, then "
    "`adb connect {serial}`); if it stays offline, restart the phone.",
    "no permissions": "Let your user open the USB device: install the udev rules (Debian: "
    "apt install android-sdk-platform-tools-common), join the plugdev group, log in again and replug.",
    "bootloader": "The phone is in its bootloader: start Android with `fastboot -s {serial} reboot`.",
    "recovery": "The phone is in recovery: start Android with `adb -s {serial} reboot`.",
    "rescue": "The phone is in rescue mode: start Android with `adb -s {serial} reboot`.",
    "sideload": "The phone waits for a sideload: start Android with `adb -s {serial} reboot`.",
}


def advice_for(state: str, serial: str) -> str | None:
    """What to do about a phone in this state; None for "device", which is usable."""
    if state == "device":
        return None
    for known, advice in _ADVICE.items():
        if state.startswith(known):
            return advice.format(serial=serial)
    return f"adb calls this phone {state!r}; reconnect it."
