"""Starts, finds and stops virtual phones from the host's side.

Each phone has a folder ``settings.data_dir / "virtual" / NAME``: its spec, root, log and, while it runs,
the identity of its process. The processes are daemons: they outlive the command that started them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from toolkit.devices.local import host_abi
from toolkit.devices.virtual.busybox import find_busybox
from toolkit.devices.virtual.conditions import render_conditions, set_service
from toolkit.devices.virtual.emulator import find_emulator
from toolkit.devices.virtual.root import build_root
from toolkit.devices.virtual.sandbox import sandbox_command
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.errors import DeviceNotFound, VirtualPhoneFailed
from toolkit.settings import Settings

_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 10.0
_POLL_S = 0.02


@dataclass(frozen=True)
class VirtualPhone:
    """A virtual phone's process.

    Attributes:
        name: its folder's name.
        serial: what adb calls it once connected: 127.0.0.1:PORT.
        pid: killing this process kills everything on the phone.
        started_ticks: the process's start time, which tells it from a later one with the same pid.
        folder: spec, root and log.
    """

    name: str
    serial: str
    pid: int
    started_ticks: int
    folder: str

    @property
    def root(self) -> Path:
        """The phone's file system."""
        return Path(self.folder) / "root"

    def spec(self) -> PhoneSpec:
        """What it is."""
        return PhoneSpec.read(Path(self.folder) / "spec.json")

    def is_running(self) -> bool:
        """Whether the phone's process lives."""
        return _start_ticks(self.pid) == self.started_ticks

    def set_service(self, service: str, text: str) -> None:
        """Change what ``dumpsys SERVICE`` prints; for what a phone usually says see ``set_conditions``."""
        set_service(self.root, service, text)

    def die(self) -> None:
        """Pull the battery: every process on the phone ends at once. Its files stay.

        Raises:
            VirtualPhoneFailed: something on it does not end.
        """
        if not self.is_running():
            return
        try:
            init = _first_child(self.pid)
            ticks = _start_ticks(init)
            os.kill(self.pid, signal.SIGKILL)
        except (FileNotFoundError, IndexError, ProcessLookupError):
            # Dying by itself just now: what is inside has ended, unshare follows.
            _wait_until(lambda: not self.is_running(), _STOP_TIMEOUT_S)
            return
        # The namespace's init ends when the kernel has ended all else in there; of a phone that was dying by
        # itself it may have ended before.
        if not _wait_until(
            lambda: not self.is_running() and (ticks is None or _start_ticks(init) != ticks), _STOP_TIMEOUT_S
        ):
            raise VirtualPhoneFailed(
                f"Virtual phone {self.name} does not end.",
                serial=self.serial,
                next_step=f"See what process {init} waits for.",
            )

    def freeze(self) -> None:
        """Stop adbd: connections stay, nothing answers."""
        os.kill(self._adbd_pid(), signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo ``freeze``."""
        os.kill(self._adbd_pid(), signal.SIGCONT)

    def _adbd_pid(self) -> int:
        # unshare's child is the namespace's init, whose first child is adbd.
        return _first_child(_first_child(self.pid))


def phones_folder(settings: Settings) -> Path:
    """Where virtual phones live."""
    return settings.data_dir / "virtual"


def start_phone(spec: PhoneSpec, settings: Settings) -> VirtualPhone:
    """Start a phone and wait until it listens; a phone of that name that ran before keeps its files.

    Raises:
        VirtualPhoneFailed: no busybox, no namespaces, the name is running already, the port is taken ...
    """
    folder = phones_folder(settings) / spec.name
    running = _read(folder)
    if running and running.is_running():
        raise VirtualPhoneFailed(
            f"Virtual phone {spec.name} is running already as {running.serial}.",
            next_step="Stop it with `slm devices stop`.",
        )
    emulator = None if spec.abi == host_abi() else find_emulator(spec.abi)
    prefix = sandbox_command(user_namespace=emulator is not None)
    busybox = find_busybox(settings, spec.abi)
    folder.mkdir(parents=True, exist_ok=True)
    root, ready = folder / "root", folder / "ready.json"
    ready.unlink(missing_ok=True)
    if root.exists() and (folder / "spec.json").is_file():
        spec = replace(spec, serialno=PhoneSpec.read(folder / "spec.json").serialno)
    spec.write(folder / "spec.json")
    if not root.exists():
        build_root(root, spec, busybox, emulator=emulator)
    render_conditions(root, spec)
    daemon = [
        sys.executable,
        "-m",
        "toolkit.devices.virtual.daemon",
        *map(str, (folder / "spec.json", root, ready, *([emulator] if emulator else []))),
    ]
    pid = _daemonize([*prefix, *daemon], folder / "log.txt")
    ticks = _start_ticks(pid)
    _wait_until(lambda: ready.exists() or ticks is None or _start_ticks(pid) != ticks, _START_TIMEOUT_S)
    if ticks is None or not ready.exists():
        raise VirtualPhoneFailed(
            f"Virtual phone {spec.name} did not start: {_last_line(folder / 'log.txt')}",
            next_step=f"Its log is {folder / 'log.txt'}.",
        )
    port = json.loads(ready.read_text(encoding="utf-8"))["port"]
    phone = VirtualPhone(spec.name, f"127.0.0.1:{port}", pid, ticks, str(folder))
    (folder / "process.json").write_text(json.dumps(asdict(phone)), encoding="utf-8")
    return phone


def known_phones(settings: Settings) -> list[VirtualPhone]:
    """Phones started earlier, by whichever command, running or dead, in the order of their names."""
    folder = phones_folder(settings)
    found = (_read(child) for child in sorted(folder.iterdir())) if folder.is_dir() else ()
    return [phone for phone in found if phone]


def find_phone(serial: str, settings: Settings) -> VirtualPhone:
    """Return the running virtual phone of that serial.

    Raises:
        DeviceNotFound: none has it; a real phone's conditions cannot be set.
    """
    running = [phone for phone in known_phones(settings) if phone.is_running()]
    for phone in running:
        if phone.serial == serial:
            return phone
    serials = ", ".join(phone.serial for phone in running)
    raise DeviceNotFound(
        "No virtual phone of this serial runs here.",
        serial=serial,
        next_step=f"Running: {serials or 'none; start one with `slm devices emulate`'}.",
    )


def remove_phone(phone: VirtualPhone) -> None:
    """Kill a phone, also when it was started again since, and delete its files."""
    (_read(Path(phone.folder)) or phone).die()
    # The phone's mounts went with its namespace, so that only plain files are left to delete.
    shutil.rmtree(phone.folder)


def _daemonize(argv: list[str], log: Path) -> int:
    """Start a process that outlives us, its output in ``log``; returns its pid."""
    script = '"$@" </dev/null >"$0" 2>&1 & echo $!'
    launched = subprocess.run(
        ["/bin/sh", "-c", script, str(log), *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        start_new_session=True,
    )
    return int(launched.stdout)


def _read(folder: Path) -> VirtualPhone | None:
    path = folder / "process.json"
    return VirtualPhone(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def _start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The program's name, in parentheses, may hold anything.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _first_child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return int(children[0])


def _wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return met


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.is_file() else []
    return lines[-1] if lines else "no reason given"
