"""The one interface that the profile session drives, and what it reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Protocol

from toolkit.devices.battery import PowerSource
from toolkit.devices.identity import Identity
from toolkit.progress import ProgressCallback, silent

DeviceKind = Literal["local", "adb", "ssh"]


@dataclass(frozen=True)
class DeviceInfo:
    """What a device is. Facts that could not be read are None, never guessed.

    Attributes:
        serial: what adb or ssh calls it: adb's serial, "local", or "ssh:USER@HOST".
        identity: the hardware's own serial number, the same under every name; None where it has none.
        name: what the user calls it, see devices.given_names.
        state: adb's word ("device", "unauthorized", "offline" ...); "device" means usable.
        abi: primary ABI in Android's words: "arm64-v8a", "x86_64".
        os_version: "Android 14" or the Linux distribution's pretty name.
        build: Android's build fingerprint, or the kernel release.
        cpu_cores: CPUs that there are, on line or not.
        page_bytes: size of its kernel's memory pages.
        free_bytes: space left where artifacts are put.
        used_bytes: space that the toolkit's folder takes there.
        emulated: a virtual phone; its results never mix with real ones.
        advice: what to do about a state other than "device".
    """

    serial: str
    kind: DeviceKind
    state: str
    identity: str | None = None
    name: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    soc: str | None = None
    abi: str | None = None
    os_version: str | None = None
    api_level: int | None = None
    build: str | None = None
    cpu_cores: int | None = None
    page_bytes: int | None = None
    ram_bytes: int | None = None
    free_bytes: int | None = None
    used_bytes: int | None = None
    emulated: bool = False
    advice: str | None = None


@dataclass(frozen=True)
class Readings:
    """Conditions at one moment; None means unreadable, never zero.

    Attributes:
        unix_ns: when, by the host's clock.
        cpu_busy: fraction 0..1 over the sampling window; None also when none was asked for.
        online_cpus: numbers of the CPUs that are on line.
        cpu_frequencies_khz: current frequency by CPU number; None for a CPU off line, or that does not tell.
        cpu_frequency_caps_khz: highest frequency allowed now, likewise; thermal drivers lower it.
        cpu_maximum_frequencies_khz: highest frequency that the CPU has, likewise.
        available_ram_bytes: memory that can be had without swapping.
        thermal_status: Android's 0 (none) .. 6 (shutdown).
        hottest_cpu_celsius: hottest CPU thermal zone.
        battery_percent: charge level.
        battery_celsius: the battery's own sensor.
        battery_charge_uah: the charge in the battery, in microampere-hours.
        charging: whether external power is attached.
        power_source: what powers the device.
        screen_on: whether the screen is lit.
    """

    unix_ns: int
    cpu_busy: float | None = None
    online_cpus: tuple[int, ...] | None = None
    cpu_frequencies_khz: tuple[int | None, ...] | None = None
    cpu_frequency_caps_khz: tuple[int | None, ...] | None = None
    cpu_maximum_frequencies_khz: tuple[int | None, ...] | None = None
    available_ram_bytes: int | None = None
    thermal_status: int | None = None
    hottest_cpu_celsius: float | None = None
    battery_percent: int | None = None
    battery_celsius: float | None = None
    battery_charge_uah: int | None = None
    charging: bool | None = None
    power_source: PowerSource | None = None
    screen_on: bool | None = None


@dataclass(frozen=True)
class CommandResult:
    """A finished command; ``returncode`` is the command's own, never adb's."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


class Device(Protocol):
    """Something that can run the bundle.

    Every call takes its own timeout or scales one by bytes, and raises a DeviceError carrying the
    serial: DeviceLost, DeviceTimeout, DeviceFull, DeviceNotReady, TransferFailed.
    Remote paths are absolute POSIX strings; quoting them is the implementation's business.
    """

    serial: str
    # The folder that the toolkit owns on the device, e.g. /data/local/tmp/slm-toolkit.
    workdir: str
    # Large files are pushed in pieces of this size, so that a cut costs one piece; None for never.
    push_piece_bytes: int | None

    def info(self) -> DeviceInfo:
        """Describe the device."""

    def identity(self) -> Identity:
        """Which device it is, whatever adb or ssh calls it; asked once."""

    def shell(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        on_stdout_line: Callable[[str], None] | None = None,
    ) -> CommandResult:
        """Run a command on the device and wait for it.

        Args:
            argv: program and arguments, unquoted.
            timeout_s: the command is killed on the device and DeviceTimeout raised after this.
            on_stdout_line: called with each line as it arrives.
        """

    def converse(
        self, argv: Sequence[str], stdin: IO[bytes], *, on_stdout_line: Callable[[str], None]
    ) -> CommandResult:
        """Run a command that is told what to do while it runs, and wait for it, however long that takes.

        The result holds no stdout. Ctrl-C of the terminal does not reach the command.

        Args:
            argv: program and arguments, unquoted.
            stdin: what the command reads, a pipe's end say; closed here once the command has it.
            on_stdout_line: called with each line as it arrives.
        """

    def push(self, local: Path, remote: str, *, progress: ProgressCallback = silent) -> None:
        """Copy one file to the device; parent folders are made. Not atomic: see devices.transfer."""

    def pull(self, remote: str, local: Path, *, progress: ProgressCallback = silent) -> None:
        """Copy one file from the device; ``local`` appears whole or not at all."""

    def free_space(self) -> int:
        """Bytes free where ``workdir`` is."""

    def readings(self, *, cpu_window_s: float = 0.5) -> Readings:
        """Conditions now.

        Args:
            cpu_window_s: how long to watch the CPU's load; 0 leaves it out and answers at once.
        """

    def lock(self) -> AbstractContextManager[None]:
        """Keep other processes on this host off the device; DeviceBusy when one holds it."""
