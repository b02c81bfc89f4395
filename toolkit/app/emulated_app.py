"""The app for a virtual phone: the same core and JNI library on a JVM in place of Android. x86-64 only."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import zipfile
from pathlib import Path

from toolkit.app.desktop_library import build_desktop_library
from toolkit.app.driver import PACKAGE
from toolkit.app.kotlin import desktop_core, find_java
from toolkit.app.shipped import shipped_engines
from toolkit.app.source import app_source, versions
from toolkit.errors import BuildFailed
from toolkit.files import put_in_place, scratch_beside
from toolkit.locks import exclusive
from toolkit.progress import stage
from toolkit.runtime.elf import is_elf, read_elf
from toolkit.runtime.toolchain import Toolchain, find_toolchain
from toolkit.settings import Settings

_LOADER = "ld-linux-x86-64.so.2"

# What the phone's `am` and `content` call. The JVM finds itself by its own path, so it cannot be started
# through the loader as the runner's bundle is: the root gets the loader where all x86-64 programs look.
_SCRIPT = """#!/system/bin/sh
app=/data/app/{package}
data=/data/data/{package}
[ -e /lib64 ] || ln -s "$app/lib" /lib64
# Takes the place of the shell that calls it.
jvm() {{
  export LD_LIBRARY_PATH="$app/lib:$app/native"
  exec "$app/jre/bin/java" -XX:-UsePerfData -XX:TieredStopAtLevel=1 \\
    -Xshare:auto -Djava.library.path="$app/native" -cp "$app/core.jar:$app/kotlin-stdlib.jar" \\
    slm.toolkit.checks.MainKt emulated "$@"
}}
lives() {{ pid=$(cat "$data/pid" 2>/dev/null) && [ ! -f "$data/ends/$pid" ] && kill -0 "$pid" 2>/dev/null; }}
mkdir -p "$data/ends" "$data/starts"
case "$1" in
  start)
    folder=$data/runs/$2
    [ -f "$folder/arguments" ] || exit 1
    if lives; then
      # Android starts nothing beside a process that is there: that one gets the intent.
      touch "$data/starts/$2"
      while [ -f "$data/starts/$2" ] && lives; do sleep 0.05; done
      exit 0
    fi
    rm -f "$data"/starts/* "$data/pid" "$data/home"
    (
      trap '' HUP
      (jvm run "$data" {version} "$2" "$3" >/dev/null 2>>"$folder/stderr" </dev/null) &
      rm -f "$data/ends/$!"
      echo $! >"$data/pid"
      wait $!
      echo $? >"$data/ends/$!"
    ) >/dev/null 2>&1 </dev/null &
    while [ ! -s "$data/pid" ] || {{ [ ! -s "$folder/begun" ] && lives; }}; do sleep 0.05; done
    ;;
  home) touch "$data/home" ;;
  content) shift; jvm content "$data" {version} "$@" ;;
  stop) ! lives || kill -9 "$pid" ;;
esac
"""


def build_emulated_app(settings: Settings, *, version: str | None = None) -> Path:
    """The package that ``pm install`` of a virtual phone takes; built unless it is in the cache.

    Raises:
        RuntimeBundleError: it cannot be built.
    """
    version = version or versions(app_source())["versionName"]
    jars = desktop_core(settings)
    libraries = [build_desktop_library(engine.spec.name, settings) for engine in shipped_engines()]
    toolchain = find_toolchain()
    built = " ".join(folder.name for folder in libraries)
    said = f"{version} {jars[0].name} {built} {toolchain.compiler_identity} {_SCRIPT}"
    target = settings.cache_dir / "app" / f"emulated-{hashlib.sha256(said.encode()).hexdigest()[:16]}.zip"
    with exclusive(target.with_name(f".{target.name}.lock")):
        if not target.is_file():
            with scratch_beside(target) as scratch, stage("pack the app for virtual phones"):
                _fill(scratch / "app", jars, libraries, toolchain, version)
                _pack(scratch / "app", scratch / "app.zip")
                put_in_place(scratch / "app.zip", target)
    return target


def _fill(
    folder: Path, jars: tuple[Path, ...], libraries: list[Path], toolchain: Toolchain, version: str
) -> None:
    folder.mkdir()
    _link_jre(folder / "jre")
    shutil.copy(jars[0], folder / "core.jar")
    shutil.copy(jars[1], folder / "kotlin-stdlib.jar")
    for built in libraries:
        shutil.copytree(built, folder / "native", dirs_exist_ok=True)
    (folder / "lib").mkdir()
    for name in sorted(_system_libraries(folder)):
        shutil.copy(toolchain.runtime_file(name), folder / "lib" / name)
    (folder / "package").write_text(f"{PACKAGE}\n", encoding="utf-8")
    (folder / "emulated").write_text(_SCRIPT.format(package=PACKAGE, version=version), encoding="utf-8")


def _link_jre(target: Path) -> None:
    jlink = find_java().resolve().parent / "jlink"
    command: list[str | Path] = [jlink, "--add-modules", "java.base", "--strip-debug"]
    command += ["--no-man-pages", "--output", target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise BuildFailed(
            f"jlink failed: {(done.stderr + done.stdout).strip()[-500:]}",
            next_step="Install a whole JDK (Debian: apt-get install openjdk-17-jdk-headless).",
        )
    # A run starts some ten JVMs, which begin sooner with their classes prepared; they do without, too.
    command = [target / "bin" / "java", "-Xshare:dump"]
    subprocess.run(command, capture_output=True, timeout=300, check=False)


def _system_libraries(folder: Path) -> set[str]:
    """Names of the C and C++ libraries that the programs and libraries of a folder need, and the loader."""
    files = [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink() and is_elf(file)]
    own = {file.name for file in files}
    needed = {name for file in files for name in read_elf(file).needed} - own
    return needed | {_LOADER, "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libgcc_s.so.1"}


def _pack(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                # With permissions, which unzip restores.
                archive.write(file, file.relative_to(folder))
