"""Phones over the real adb binary."""

from toolkit.devices.adb.device import AdbDevice

__all__ = ["AdbDevice"]
