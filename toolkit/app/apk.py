"""An APK of the app without Android's SDK, to check it: compiled against stubs of our own, never for users.

The app's own libraries need the NDK, so they are not in this APK;
the engines' are.
"""

from __future__ import annotations

import re
import shutil
import struct
import zipfile
from pathlib import Path

from toolkit.app.android_tools import AndroidTools, find_tools, run_tool
from toolkit.app.kotlin import compile_kotlin, provide_compiler
from toolkit.app.shipped import shipped_engines
from toolkit.app.source import app_source, versions
from toolkit.files import put_in_place, scratch_beside
from toolkit.progress import stage
from toolkit.settings import Settings

_PAGE = 16384
_WORD = 4
# zipalign's extra field: id, size, and the alignment it stands for; apksigner keeps what it says.
_ALIGNMENT_ID = 0xD935
_KEY_PASSWORD = "not-secret"
_DATE = (2026, 1, 1, 0, 0, 0)


def build_check_apk(target: Path, settings: Settings) -> Path:
    """Compile, dex, link, align and sign the app into ``target``.

    Raises:
        BuildFailed: a tool is missing or refuses.
    """
    source = app_source()
    tools = find_tools(settings)
    with scratch_beside(target) as scratch:
        with stage("compile the app"):
            resources = _link_resources(tools, source, scratch)
            jar = _compile(tools, source, scratch, settings)
        with stage("dex the app"):
            dexes = _dex(tools, source, jar, scratch, settings)
        unsigned = scratch / "unsigned.apk"
        libraries = [engine.libraries(settings) for engine in shipped_engines()]
        _package(resources, dexes, libraries, unsigned)
        signed = scratch / "signed.apk"
        with stage("sign and verify"):
            _sign(tools, source, unsigned, signed, scratch)
        put_in_place(signed, target)
    return target


def manifest_text(source: Path) -> str:
    """The manifest with the package that Gradle would add.

    Debian's framework resources are of API 29 and do not know a service's type "specialUse"; Android's do.
    """
    text = (source / "app" / "src" / "main" / "AndroidManifest.xml").read_text(encoding="utf-8")
    application = versions(source)["applicationId"]
    text = re.sub(r"\s*android:foregroundServiceType=\"specialUse\"", "", text)
    return re.sub(r"<manifest ", f'<manifest package="{application}" ', text, count=1)


def _link_resources(tools: AndroidTools, source: Path, scratch: Path) -> Path:
    known = versions(source)
    compiled, linked = scratch / "resources.zip", scratch / "resources.apk"
    run_tool(
        [tools.aapt2, "compile", "--dir", source / "app" / "src" / "main" / "res", "-o", compiled],
        "compiling resources",
    )
    manifest = scratch / "AndroidManifest.xml"
    manifest.write_text(manifest_text(source), encoding="utf-8")
    run_tool(
        [
            *(tools.aapt2, "link", "-I", tools.framework, "--manifest", manifest, "-o", linked),
            *("--java", scratch / "generated", "--min-sdk-version", known["minSdk"]),
            *("--target-sdk-version", known["targetSdk"], "--version-code", known["versionCode"]),
            *("--version-name", known["versionName"], compiled),
        ],
        "linking resources",
    )
    return linked


def _compile(tools: AndroidTools, source: Path, scratch: Path, settings: Settings) -> Path:
    stubs, generated = scratch / "stubs", scratch / "classes"
    javac: list[str | Path] = [tools.javac, "-nowarn", "--release", "11"]
    run_tool([*javac, "-d", stubs, *sorted((source / "stubs").rglob("*.java"))], "compiling the stubs")
    run_tool([*javac, "-d", generated, *sorted((scratch / "generated").rglob("*.java"))], "compiling R")
    jar = scratch / "app.jar"
    folders = [source / part / "src" / "main" / "kotlin" for part in ("core", "app")]
    compile_kotlin(folders, jar, settings, classpath=[stubs, generated])
    return jar


def _dex(tools: AndroidTools, source: Path, jar: Path, scratch: Path, settings: Settings) -> list[Path]:
    out = scratch / "dex"
    out.mkdir()
    library = provide_compiler(settings) / "kotlin-stdlib.jar"
    run_tool(
        [
            *(tools.java, "-cp", tools.d8, "com.android.tools.r8.D8", "--release"),
            *("--min-api", versions(source)["minSdk"], "--output", out),
            *("--lib", tools.java.resolve().parents[1], "--classpath", scratch / "stubs"),
            *(jar, library, *sorted((scratch / "classes").rglob("*.class"))),
        ],
        "dexing",
    )
    return sorted(out.glob("*.dex"))


def _package(resources: Path, dexes: list[Path], libraries: list[Path], target: Path) -> None:
    with zipfile.ZipFile(target, "w") as apk:
        with zipfile.ZipFile(resources) as linked:
            for name in sorted(linked.namelist()):
                # Android 11 and later map the table: stored and aligned.
                add_aligned(apk, name, linked.read(name), alignment=_WORD, stored=name == "resources.arsc")
        for dex in dexes:
            add_aligned(apk, dex.name, dex.read_bytes(), alignment=_WORD, stored=False)
        for library in sorted(file for folder in libraries for file in folder.glob("*/*.so")):
            name = f"lib/{library.parent.name}/{library.name}"
            add_aligned(apk, name, library.read_bytes(), alignment=_PAGE, stored=True)


def add_aligned(apk: zipfile.ZipFile, name: str, content: bytes, *, alignment: int, stored: bool) -> None:
    """Add an entry; a stored one's content begins at a multiple of ``alignment``, as zipalign makes it."""
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    if stored:
        assert apk.fp is not None
        header = struct.calcsize("<HHH")
        begins = apk.fp.tell() + zipfile.sizeFileHeader + len(name.encode()) + header  # type: ignore[attr-defined]
        padding = -begins % alignment
        entry.extra = struct.pack("<HHH", _ALIGNMENT_ID, 2 + padding, alignment) + bytes(padding)
    apk.writestr(entry, content)


def _sign(tools: AndroidTools, source: Path, unsigned: Path, signed: Path, scratch: Path) -> None:
    store = scratch / "debug.keystore"
    run_tool(
        [
            *(
                tools.keytool,
                "-genkeypair",
                "-keystore",
                store,
                "-storepass",
                _KEY_PASSWORD,
                "-alias",
                "check",
            ),
            *("-keyalg", "RSA", "-keysize", "2048", "-validity", "10000", "-dname", "CN=check only"),
        ],
        "making a key",
    )
    least = versions(source)["minSdk"]
    password = f"pass:{_KEY_PASSWORD}"
    shutil.copy(unsigned, signed)
    run_tool(
        [tools.apksigner, "sign", "--ks", store, "--ks-pass", password, "--min-sdk-version", least, signed],
        "signing",
    )
    run_tool([tools.apksigner, "verify", "--min-sdk-version", least, signed], "verifying the signature")
