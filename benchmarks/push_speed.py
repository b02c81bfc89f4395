"""`python -m benchmarks.push_speed`: pushing beside bare `adb push`, and proving an unchanged file.

The two ways alternate within one run, on one attached phone or, without --device, on a virtual phone whose
link is as slow as --link-mb-s says (40 is a good USB 2 cable; 0 is as fast as this machine). A virtual phone
hashes on the processors that also run adb and the link: the figures mean something on an idle machine only.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from toolkit.devices.adb.binary import find_adb
from toolkit.devices.adb.client import AdbClient
from toolkit.devices.base import Device
from toolkit.devices.discovery import open_device
from toolkit.devices.transfer import push_verified
from toolkit.devices.virtual.emulation import bring_online
from toolkit.devices.virtual.faults import Faults
from toolkit.devices.virtual.fleet import remove_phone, start_phone
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.settings import Settings

MEGABYTE = 1_000_000
_PUSH_TIMEOUT_S = 600.0


@contextmanager
def chosen_serial(named: str | None, link_mb_s: float, settings: Settings, adb: AdbClient) -> Iterator[str]:
    """The phone to measure; a virtual one ends with the block."""
    if named:
        yield named
        return
    faults = Faults(bytes_per_second=link_mb_s * MEGABYTE or None)
    phone = start_phone(PhoneSpec(f"push-speed-{os.getpid()}", model="Push Speed", faults=faults), settings)
    try:
        bring_online(phone, adb)
        yield phone.serial
    finally:
        adb.disconnect(phone.serial)
        remove_phone(phone)


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    started = time.monotonic()
    call()
    return time.monotonic() - started


def compare_pushes(device: Device, adb: AdbClient, folder: Path, megabytes: int, rounds: int) -> None:
    """Print each round's two speeds and the median ratio.

    The two ways take turns in being first. Neither finds a file to replace: artifacts go to folders that are
    named after what is in them.
    """
    ratios = []
    file, remote = folder / "pushed", f"{device.workdir}/push-speed"
    arguments = ["push", str(file), f"{remote}-bare"]
    for turn in range(rounds):
        device.shell(["rm", "-f", remote, f"{remote}-bare"], timeout_s=60)
        file.write_bytes(os.urandom(megabytes * MEGABYTE))
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        ways: dict[str, Callable[[], object]] = {
            "bare": partial(adb.execute, arguments, serial=device.serial, timeout_s=_PUSH_TIMEOUT_S),
            "ours": partial(push_verified, device, file, remote, sha256=sha256),
        }
        took = {way: seconds(ways[way]) for way in sorted(ways, reverse=turn % 2 == 1)}
        ratios.append(took["bare"] / took["ours"])
        print(
            f"adb push {megabytes / took['bare']:.1f} MB/s, "
            f"verified push {megabytes / took['ours']:.1f} MB/s: {ratios[-1]:.2f}x",
            flush=True,
        )
    print(f"verified push at {statistics.median(ratios):.2f}x of adb push (median of {rounds})")
    hashing = seconds(lambda: device.shell(["sha256sum", remote], timeout_s=_PUSH_TIMEOUT_S))
    print(f"the phone hashes at {megabytes / hashing:.0f} MB/s, and nothing is proven faster than that")


def time_unchanged(device: Device, folder: Path, megabytes: int) -> None:
    """Print what it takes to prove a large file that is there already."""
    file, remote = folder / "large", f"{device.workdir}/push-speed-large"
    with file.open("wb") as writer:
        writer.truncate(megabytes * MEGABYTE)
    with file.open("rb") as reader:
        sha256 = hashlib.file_digest(reader, "sha256").hexdigest()
    first = seconds(lambda: push_verified(device, file, remote, sha256=sha256))
    again = [seconds(lambda: push_verified(device, file, remote, sha256=sha256)) for _ in range(3)]
    print(f"{megabytes} MB: first push {first:.1f} s, unchanged {min(again):.2f} to {max(again):.2f} s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", help="serial of an attached phone")
    parser.add_argument("--link-mb-s", type=float, default=40.0, help="speed of the virtual phone's link")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--large-megabytes", type=int, default=1000, help="0 leaves the unchanged file out")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    settings = Settings.from_environment()
    adb = AdbClient(find_adb(settings))
    with (
        chosen_serial(options.device, options.link_mb_s, settings, adb) as serial,
        tempfile.TemporaryDirectory(prefix="push-speed-") as folder,
    ):
        device = open_device(serial, settings)
        try:
            compare_pushes(device, adb, Path(folder), options.megabytes, options.rounds)
            if options.large_megabytes:
                time_unchanged(device, Path(folder), options.large_megabytes)
        finally:
            for suffix in ("", "-bare", "-large"):
                device.shell(["rm", "-f", f"{device.workdir}/push-speed{suffix}"], timeout_s=60)


if __name__ == "__main__":
    main()
