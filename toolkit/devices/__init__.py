"""Devices: this machine, phones over adb, and the virtual phone, behind one interface."""
