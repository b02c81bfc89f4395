"""Is this machine equipped? adb, compilers, extras and disk; works without any device."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
from pathlib import Path

from toolkit.care.finding import Finding
from toolkit.devices.adb.binary import find_adb, wheel_adb
from toolkit.devices.adb.client import AdbClient
from toolkit.engines import ENGINES
from toolkit.errors import AdbNotFound, AdbServerFailed, DeviceError, RuntimeBundleError, UsageError
from toolkit.extras import install_command
from toolkit.runtime.abi import CROSS_COMPILERS, runnable_host_abi
from toolkit.runtime.toolchain import find_toolchain
from toolkit.settings import Settings

HOST = "host"

_VERSION_TIMEOUT_S = 10.0
# From here on adb's exit code tells when a phone dies, and phones that come back are found again.
_GOOD_ADB = 34
# Runner bundle, captures and a converted small model.
_LITTLE_DISK_BYTES = 5_000_000_000


def host_findings(settings: Settings) -> list[Finding]:
    """Look at this machine."""
    return [
        adb_finding(settings),
        _compiler_finding(None),
        *(_compiler_finding(abi) for abi in CROSS_COMPILERS if abi != runnable_host_abi()),
        _package_finding("extra [convert]", "torch", "slm convert", install_command("convert")),
        *map(_engine_finding, ENGINES),
        *_disk_findings(settings),
    ]


def adb_finding(settings: Settings) -> Finding:
    """Is there an adb, and is it a good one?"""
    try:
        binary = find_adb(settings)
        said = AdbClient(binary).execute(["version"], timeout_s=_VERSION_TIMEOUT_S)
    except (AdbNotFound, AdbServerFailed) as error:
        return Finding(HOST, "adb", "fail", error.what, error.next_step)
    except DeviceError as error:
        return Finding(HOST, "adb", "fail", error.what, "Set SLM_ADB to a working adb.")
    version = parse_adb_version(said.stdout.decode(errors="replace"))
    if version is None:
        return Finding(HOST, "adb", "warn", f"{binary} does not say its version", "Install another adb.")
    if int(version.partition(".")[0]) < _GOOD_ADB:
        newer = wheel_adb()
        how = f"slm config adb {newer}" if newer else "install one, and name it with slm config adb PATH"
        return Finding(
            HOST, "adb", "warn", f"version {version} at {binary}",
            f"It works; newer ones find phones again that were gone: {how}",
        )  # fmt: skip
    return Finding(HOST, "adb", "ok", f"version {version} at {binary}")


def parse_adb_version(text: str) -> str | None:
    """Read ``adb version``: the platform tools' version, "36.0.0-13206524" becomes "36.0.0"."""
    match = re.search(r"^Version (\d+\.\d+\.\d+)", text, re.MULTILINE)
    return match[1] if match else None


def _compiler_finding(abi: str | None) -> Finding:
    check = f"compiler for {abi or runnable_host_abi()}"
    try:
        tools = find_toolchain(abi=abi)
    except RuntimeBundleError as error:
        # Bundles that were built before go on working.
        return Finding(HOST, check, "warn" if abi else "fail", str(error.what), error.next_step)
    return Finding(HOST, check, "ok", f"{tools.compiler_identity}; CMake {tools.cmake}")


def _engine_finding(name: str) -> Finding:
    try:
        engine = ENGINES.get(name)
    except UsageError as error:
        return Finding(HOST, f"engine {name}", "warn", f"{error.subject}: {error.what}", error.next_step)
    check = f"extra [{engine.extra}]" if engine.extra else f"engine {name}"
    return _package_finding(check, engine.package, engine.title, engine.install)


def _package_finding(check: str, package: str, serves: str, install: str) -> Finding:
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return Finding(HOST, check, "warn", f"{package} is not installed: no {serves}", install)
    return Finding(HOST, check, "ok", f"{package} {version}")


def _disk_findings(settings: Settings) -> list[Finding]:
    folders = {"cache": settings.cache_dir, "results": settings.data_dir}
    free = {name: shutil.disk_usage(_existing(folder)).free for name, folder in folders.items()}
    findings = []
    for name, folder in folders.items():
        found = f"{free[name] / 1e9:.1f} GB free for {folder}"
        little = free[name] < _LITTLE_DISK_BYTES
        variable = "SLM_CACHE_DIR" if name == "cache" else "SLM_DATA_DIR"
        next_step = f"Free some space, or point {variable} elsewhere." if little else None
        findings.append(Finding(HOST, f"disk, {name}", "warn" if little else "ok", found, next_step))
    return findings


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
