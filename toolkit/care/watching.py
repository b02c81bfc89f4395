"""What devices are doing, again and again: state, heat, battery, and who uses them.

A device that is measuring is not asked anything, since whatever runs beside a measurement disturbs it: who
holds it is read on this host, and what was last read of it stays, with its time.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from toolkit.care.device_findings import device_facts
from toolkit.devices.adb.parsers import AttachedDevice
from toolkit.devices.base import Device, Readings
from toolkit.devices.device_lock import lock_holder
from toolkit.devices.discovery import UNRESPONSIVE, attached_phones, open_device
from toolkit.devices.given_names import name_of
from toolkit.devices.lease import host_id
from toolkit.devices.local import LOCAL_SERIAL
from toolkit.devices.patience import Patience
from toolkit.devices.states import advice_for
from toolkit.errors import DeviceError
from toolkit.settings import Settings

_PATIENCE = Patience(call_s=5.0)
_PARALLEL = 8


@dataclass(frozen=True)
class Watched:
    """A device at one moment; None is not known.

    Attributes:
        serial: what adb calls it, or "local".
        name: what its user calls it.
        state: adb's word; "unresponsive" for a phone that does not answer.
        advice: what to do about its state.
        used_by: who measures on it: a process of this host, or the holder of its lease.
        running: that process's command line, where it is one of this host.
        readings: newest ones, see their own time; a device in use is not read.
    """

    serial: str
    name: str | None
    state: str
    advice: str | None = None
    used_by: str | None = None
    running: str | None = None
    readings: Readings | None = None


@dataclass
class Watch:
    """Looks at all devices, and remembers what need not be asked again."""

    settings: Settings
    _devices: dict[str, Device] = field(default_factory=dict)
    _read: dict[str, Readings] = field(default_factory=dict)
    # Leases of other hosts by device: the holder, and until when it need not be asked.
    _leases: dict[str, tuple[str, float]] = field(default_factory=dict)

    def look(self) -> list[Watched]:
        """This machine and every attached phone.

        Raises:
            AdbServerFailed: adb cannot say which phones are attached.
        """
        local = AttachedDevice(serial=LOCAL_SERIAL, state="device", tags={})
        with ThreadPoolExecutor(_PARALLEL) as pool:
            return list(pool.map(self._look_at, [local, *attached_phones(self.settings)]))

    def _look_at(self, attached: AttachedDevice) -> Watched:
        serial = attached.serial
        seen = Watched(serial, None, attached.state, readings=self._read.get(serial))
        if attached.state != "device":
            self._devices.pop(serial, None)
            return replace(seen, advice=advice_for(attached.state, serial))
        try:
            if serial not in self._devices:
                self._devices[serial] = open_device(serial, self.settings, patience=_PATIENCE)
            device = self._devices[serial]
            identity = device.identity()
            seen = replace(seen, name=name_of(identity.hardware or serial, self.settings))
            holder = lock_holder(self._locks, serial, system=identity.system)
            if holder is not None:
                return replace(seen, used_by=f"process {holder}", running=_command_line(holder))
            lease = self._lease(device)
            if lease is not None:
                return replace(seen, used_by=lease)
            self._read[serial] = device.readings(cpu_window_s=0)
        except DeviceError as error:
            self._devices.pop(serial, None)
            return replace(seen, state=UNRESPONSIVE, advice=error.next_step or error.what)
        return replace(seen, readings=self._read[serial])

    def _lease(self, device: Device) -> str | None:
        """Another host that holds the device; asked again only when its lease would have ended."""
        if device.serial == LOCAL_SERIAL:
            return None
        who, until = self._leases.get(device.serial, ("", 0.0))
        if time.monotonic() < until:
            return who
        lease = device_facts(device).lease
        if lease is None or lease.host == host_id(self._locks):
            self._leases.pop(device.serial, None)
            return None
        self._leases[device.serial] = (lease.who, time.monotonic() + lease.left_s)
        return lease.who

    @property
    def _locks(self) -> Path:
        return self.settings.data_dir / "locks"


def _command_line(pid: str) -> str | None:
    """What a process was started as; None where the system does not tell."""
    try:
        words = Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    program, *arguments = [word.decode(errors="replace") for word in words if word] or [""]
    # Of "python /path/slm profile ..." people typed the last part.
    if arguments and Path(program).name.startswith("python"):
        program, *arguments = arguments
    return " ".join([Path(program).name, *arguments])
