"""Which adb binary to use."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from toolkit.errors import AdbNotFound, AdbServerFailed
from toolkit.settings import Settings

WORKING_ADB = "Set SLM_ADB to a working adb, or unset it. --device local measures this machine on purpose."
_INSTALL = "Install adb (Debian: apt install adb), or set SLM_ADB to its path."


def find_adb(settings: Settings) -> Path:
    """Return SLM_ADB, else adb on PATH, else the one inside the adbutils wheel.

    PATH comes before the wheel so that the toolkit shares the server that the user's own adb started:
    two adb versions with different protocols keep killing each other's server.

    Raises:
        AdbNotFound: none of them is there.
        AdbServerFailed: SLM_ADB is not an executable file; whoever set it means a phone.
    """
    if settings.adb:
        if not os.access(settings.adb, os.X_OK) or not settings.adb.is_file():
            raise AdbServerFailed(
                f"SLM_ADB is {settings.adb}, which is not an executable file.", next_step=WORKING_ADB
            )
        return settings.adb
    if on_path := shutil.which("adb"):
        return Path(on_path)
    if bundled := wheel_adb():
        return bundled
    raise AdbNotFound("No adb binary on PATH, in SLM_ADB or in the adbutils package.", next_step=_INSTALL)


def wheel_adb() -> Path | None:
    """The adb inside the adbutils package, when there is one for this machine."""
    # Found without importing adbutils, which takes a tenth of a second for parts that we do not use.
    spec = importlib.util.find_spec("adbutils")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        candidate = Path(folder) / "binaries" / "adb"
        if os.access(candidate, os.X_OK):
            return candidate
    return None
