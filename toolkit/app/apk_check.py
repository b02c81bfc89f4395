"""What must hold of an APK of the app, read from the file itself."""

from __future__ import annotations

import re
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

from toolkit.app.android_tools import AndroidTools, run_tool
from toolkit.app.dex import jni_symbol, native_methods
from toolkit.app.source import app_source, versions
from toolkit.errors import BuildFailed
from toolkit.files import scratch_beside
from toolkit.runtime.elf import read_elf

_PAGE = 16384
_GUARD = "android.permission.DUMP"
# Of a run behind other apps; no user is asked for one of them.
PERMISSIONS = frozenset(
    f"android.permission.{name}"
    for name in ("FOREGROUND_SERVICE", "FOREGROUND_SERVICE_SPECIAL_USE", "WAKE_LOCK")
)


@dataclass(frozen=True)
class ApkFacts:
    """What was read and found right.

    Attributes:
        exported: component -> the permission that guards it, None for the launcher's activity.
        libraries: paths of the native libraries in it.
        jni_symbols: what the app's own libraries must bring.
    """

    permissions: tuple[str, ...]
    exported: dict[str, str | None]
    libraries: tuple[str, ...]
    jni_symbols: frozenset[str]
    size_bytes: int


def check_apk(apk: Path, tools: AndroidTools) -> ApkFacts:
    """Read an APK and refuse what no APK of the app may be.

    Raises:
        BuildFailed: another permission, an exported component without a guard, a library that is not aligned
            to pages of 16 KB, or a native method that the bridge does not have.
    """
    permissions = tuple(
        re.findall(
            r"uses-permission: name='([^']+)'", run_tool([tools.aapt2, "dump", "permissions", apk], "aapt2")
        )
    )
    tree = run_tool([tools.aapt2, "dump", "xmltree", "--file", "AndroidManifest.xml", apk], "aapt2")
    exported = exported_components(tree)
    problems = [f"asks for {name}" for name in permissions if name not in PERMISSIONS]
    launcher = f"{versions(app_source())['applicationId']}.MainActivity"
    for name, guard in exported.items():
        if guard != _GUARD and name != launcher:
            problems.append(f"{name} is exported and not guarded by {_GUARD}")
    with zipfile.ZipFile(apk) as archive:
        libraries = tuple(name for name in archive.namelist() if name.endswith(".so"))
        for name in libraries:
            problems += _library_problems(apk, archive, name)
        dexes = [archive.read(name) for name in archive.namelist() if name.endswith(".dex")]
    wanted = {jni_symbol(*method) for dex in dexes for method in native_methods(dex)}
    sources = [file.read_text(encoding="utf-8") for file in (app_source() / "native").glob("*.cpp")]
    bridge = {name for text in sources for name in re.findall(r"\bJava_\w+", text)}
    if wanted != bridge:
        problems.append(
            f"Kotlin's native methods and the bridge differ: {', '.join(sorted(wanted ^ bridge))}"
        )
    if problems:
        raise BuildFailed(
            "; ".join(problems), subject=str(apk), next_step="Mend the app: see docs/android_app.md."
        )
    return ApkFacts(permissions, exported, libraries, frozenset(wanted), apk.stat().st_size)


def exported_components(tree: str) -> dict[str, str | None]:
    """Component -> permission of those that other apps can reach, from ``aapt2 dump xmltree``."""
    found: dict[str, str | None] = {}
    for element in re.split(r"\n(?=\s*E: )", tree):
        head = element.strip().partition("\n")[0]
        if not re.match(r"E: (activity|activity-alias|service|receiver|provider) ", head):
            continue
        attributes = dict(re.findall(r"android:(\w+)\(0x[0-9a-f]+\)=\"?([^\s\"]+)", element))
        if attributes.get("exported") == "true":
            found[attributes["name"]] = attributes.get("permission")
    return found


def _library_problems(apk: Path, archive: zipfile.ZipFile, name: str) -> list[str]:
    problems = []
    entry = archive.getinfo(name)
    if entry.compress_type != zipfile.ZIP_STORED or _content_offset(apk, entry) % _PAGE:
        problems.append(f"{name} does not lie at a page of 16 KB in the APK")
    with scratch_beside(apk) as scratch:
        library = Path(archive.extract(name, scratch))
        if min(read_elf(library).load_alignments) < _PAGE:
            problems.append(f"{name} has segments aligned to less than 16 KB")
    return problems


def _content_offset(apk: Path, entry: zipfile.ZipInfo) -> int:
    # The local header has an extra field of its own.
    with apk.open("rb") as file:
        file.seek(entry.header_offset + 26)
        name_length, extra_length = struct.unpack("<HH", file.read(4))
    return entry.header_offset + 30 + int(name_length) + int(extra_length)
