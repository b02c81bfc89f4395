"""A lease file on the device, so that two hosts do not measure on one phone at the same time.

The lock of :mod:`toolkit.devices.device_lock` keeps this host's processes apart; the lease does so for hosts.
It says who holds it and until when, by the device's own uptime: neither host's clock matters, nor that the
phone's date may be years off, and a restart ends every lease. A host renews its lease before each call that
may outlast it and never in between, because whatever runs beside a measurement disturbs it.
"""

from __future__ import annotations

import os
import platform
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.devices.base import CommandResult
from toolkit.devices.conditions import parse_df_free_bytes
from toolkit.errors import DeviceBusy, DeviceError, DeviceFull
from toolkit.settings import user_name

LEASE_S = 120.0
_RELEASE_TIMEOUT_S = 5.0
LEASE_FILE = "lease"
_GUARD = ".lease.lock"
# The same where there is no flock.
_GUARD_FOLDER = ".lease.taking"
# Tenths of a second that one may stay; who is at work there needs far less.
_LONGEST_GUARD = 30

# The lines of a lease: token, host, taken at, ends at (seconds of uptime), boot id, who.
# Android's shell keeps what exec opened to itself unless it is handed on, hence 9>&9.
# Where there is no flock (toybox has it, small busyboxes do not) hosts make a folder
# instead, which only one can. If it stays for seconds, the host that made it died meanwhile.
_TAKE = f"""
folder=$1 token=$2 host=$3 seconds=$4 who=$5
mkdir -p "$folder" && exec 9>"$folder/{_GUARD}" || exit 1
guard=$folder/{_GUARD_FOLDER}
if command -v flock >/dev/null; then flock 9 9>&9
else
  waited=0
  until mkdir "$guard" 2>/dev/null; do
    if [ "$waited" -ge {_LONGEST_GUARD} ]; then rmdir "$guard" 2>/dev/null; guard=; break; fi
    sleep 0.1 2>/dev/null || {{ sleep 1; waited=$((waited + 9)); }}
    waited=$((waited + 1))
  done
  [ -z "$guard" ] || trap 'rmdir "$guard"' EXIT
fi
read -r now rest </proc/uptime
now=${{now%%.*}}
[ -n "$now" ] || now=$(date +%s)
boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)
lease=$folder/{LEASE_FILE}
if [ -f "$lease" ]; then
  {{
    read -r its_token; read -r its_host; read -r taken; read -r ends; read -r its_boot; read -r its_who
  }} <"$lease"
  if [ "$its_host" != "$host" ] && [ "$its_boot" = "$boot" ] &&
     [ "$taken" -le "$now" ] 2>/dev/null && [ "$now" -lt "$ends" ] 2>/dev/null; then
    echo "held $((ends - now)) $its_who"
    exit
  fi
fi
if printf '%s\\n' "$token" "$host" "$now" "$((now + seconds))" "$boot" "$who" >"$lease.new" &&
   mv -f "$lease.new" "$lease"
then echo ours
else df -k "$folder"
fi
"""
_RELEASE = f"""
[ -z "$2" ] || {{ read -r token <"$1/{LEASE_FILE}" && [ "$token" = "$2" ]; }} 2>/dev/null || exit 0
rm -f "$1/{LEASE_FILE}"
"""


@dataclass(frozen=True)
class LeaseFile:
    """A lease that holds.

    Attributes:
        host: the holder's :func:`host_id`.
        who: the holder, for people.
        left_s: seconds until it ends.
    """

    host: str
    who: str
    left_s: int


def is_lease(text: str, *, uptime: str) -> bool:
    """Whether a lease file says whether it holds at this uptime."""
    lines = text.splitlines()
    now = uptime.split(".")[0].strip()
    return len(lines) >= 6 and all(field.isdecimal() for field in (*lines[2:4], now))


def parse_lease(text: str, *, uptime: str, boot: str) -> LeaseFile | None:
    """Read a lease file; None when there is none, or it holds no longer.

    Args:
        text: the file's content.
        uptime: /proc/uptime of the device.
        boot: the device's boot id.
    """
    if not is_lease(text, uptime=uptime):
        return None
    now = uptime.split(".")[0].strip()
    _, host, taken, ends, its_boot, who = text.splitlines()[:6]
    holds = its_boot == boot.strip() and int(taken) <= int(now) < int(ends)
    return LeaseFile(host, who, int(ends) - int(now)) if holds else None


# Runs a command on the device within so many seconds.
RunCommand = Callable[[Sequence[str], float], CommandResult]


def host_id(lock_folder: Path) -> str:
    """This host's name in leases: random, made once, kept beside the locks.

    Whoever holds a device's lock in that folder may take over a lease of the same name: its process has died.
    """
    path = lock_folder / "host-id"
    if not path.is_file():
        lock_folder.mkdir(parents=True, exist_ok=True)
        new = lock_folder / f".host-id.{secrets.token_hex(8)}"
        new.write_text(f"{secrets.token_hex(8)}\n", encoding="ascii")
        try:
            # A link, not a rename: the first one stays.
            os.link(new, path)
        except FileExistsError:
            pass
        finally:
            new.unlink()
    return path.read_text(encoding="ascii").strip()


class Lease:
    """One holder's lease on one device.

    Args:
        run: runs a command on the device without minding leases.
        folder: the toolkit's folder on the device.
        serial: the device, for errors.
        host: see :func:`host_id`.
        call_s: limit for taking and renewing it.
    """

    def __init__(self, run: RunCommand, folder: str, *, serial: str, host: str, call_s: float) -> None:
        self._run = run
        self._folder = folder
        self._serial = serial
        self._host = host
        self._call_s = call_s
        self._token = secrets.token_hex(8)
        # By this host's monotonic clock; only differences of it are used.
        self._ends_s = 0.0

    def cover(self, seconds: float) -> None:
        """Make sure that the lease holds for that long; one short call when it would not.

        Raises:
            DeviceBusy: another host holds the device; names it.
            DeviceFull, DeviceError: the lease cannot be written.
        """
        if time.monotonic() + seconds < self._ends_s:
            return
        seconds += LEASE_S
        asked_at_s = time.monotonic()
        who = f"{user_name()}@{platform.node()}, process {os.getpid()}"
        result = self._run(
            ["sh", "-c", _TAKE, "slm-lease", self._folder, self._token, self._host, f"{seconds:.0f}", who],
            self._call_s,
        )
        answer = result.stdout.strip()
        if answer.startswith("held "):
            self._raise_busy(answer)
        if answer != "ours":
            self._raise_unwritten(result)
        self._ends_s = asked_at_s + seconds

    def release(self) -> None:
        """Give the device back, as far as it answers; otherwise the lease ends by itself."""
        try:
            self._run(
                ["sh", "-c", _RELEASE, "slm-release", self._folder, self._token],
                min(self._call_s, _RELEASE_TIMEOUT_S),
            )
        except DeviceError:
            pass

    def _raise_busy(self, answer: str) -> None:
        _, seconds, who = answer.split(" ", 2)
        raise DeviceBusy(
            f"Another host uses this device: {who}. Its lease ends in {seconds} s.",
            serial=self._serial,
            next_step="Wait until it has finished. If that host is gone for good: "
            f"slm devices release --device {self._serial}",
        )

    def _raise_unwritten(self, result: CommandResult) -> None:
        said = result.stderr.strip()[-300:]
        # Not every shell says why it could not write.
        is_full = "no space left" in said.lower() or parse_df_free_bytes(result.stdout) == 0
        error = DeviceFull if is_full else DeviceError
        raise error(
            f"Its lease file in {self._folder} cannot be written: {said or 'no reason given'}",
            serial=self._serial,
            next_step="Free some space on the device, or check that its folder may be written to.",
        )


def release_any(run: RunCommand, folder: str, *, call_s: float) -> None:
    """Remove a device's lease, whoever holds it.

    Raises:
        DeviceError: the device does not answer.
    """
    run(["sh", "-c", _RELEASE, "slm-release", folder, ""], call_s)
