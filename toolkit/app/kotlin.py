"""Kotlin on this machine: the compiler out of its npm package, run by the Java that is here."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from toolkit.app.source import app_source
from toolkit.errors import BuildFailed
from toolkit.files import put_in_place, scratch_beside, sha256_of
from toolkit.locks import exclusive
from toolkit.npm import NpmPackage, download_package
from toolkit.progress import stage
from toolkit.settings import Settings

COMPILER = NpmPackage(
    "kotlin-compiler",
    "2.4.20",
    "c23dab400d7ce5ea8b6c909947c0ca5454189e4bb1108695b5f464500e5e950f",
    "90 MB",
    200_000_000,
)
_JAVA_MINIMUM = 17
_TIMEOUT_S = 600
# Those that the compiler names in its manifest, what it compiles against, and the licences.
_TAKEN = re.compile(
    r"package/(lib/(kotlin-(compiler|preloader|stdlib|reflect|script-runtime|daemon-client|daemon)"
    r"|kotlinx-coroutines-core-jvm|annotations-13\.0)\.jar|license/.*)"
)
# Android's own classes have what Java 8 has from API 26 on; much of what came later needs API 31 or 33.
_JAVA_API = "1.8"


def find_java(environ: Mapping[str, str] = os.environ) -> Path:
    """A Java of version 17 or newer: that of JAVA_HOME, else the one on PATH.

    Raises:
        BuildFailed: there is none.
    """
    home = environ.get("JAVA_HOME")
    found = str(Path(home) / "bin" / "java") if home else shutil.which("java", path=environ.get("PATH"))
    install = f"Install Java {_JAVA_MINIMUM} (Debian: apt-get install openjdk-17-jdk-headless)."
    if found is None or not Path(found).is_file():
        raise BuildFailed("Java is not installed", next_step=install)
    said = subprocess.run([found, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < _JAVA_MINIMUM:
        raise BuildFailed(f"is older than Java {_JAVA_MINIMUM}", subject=found, next_step=install)
    return Path(found)


def provide_compiler(settings: Settings) -> Path:
    """The folder of the compiler's jars; downloaded once.

    Raises:
        BuildFailed: it cannot be downloaded.
    """
    folder = settings.cache_dir / "kotlin" / COMPILER.version
    with exclusive(folder.with_name(f".{folder.name}.lock")):
        if not folder.is_dir():
            with scratch_beside(folder) as scratch:
                with stage(f"download the Kotlin compiler (npm package {COMPILER}, {COMPILER.size}, once)"):
                    archive = download_package(COMPILER, scratch, brings="the Kotlin compiler")
                with tarfile.open(archive) as outer:
                    wanted = [member for member in outer.getmembers() if _TAKEN.fullmatch(member.name)]
                    # By attribute, since extractall() of Python before 3.11.4 takes no filter.
                    outer.extraction_filter = getattr(tarfile, "data_filter", None)
                    outer.extractall(scratch, wanted)
                put_in_place(scratch / "package", folder)
    return folder / "lib"


def compile_kotlin(
    sources: Sequence[Path], target: Path, settings: Settings, *, classpath: Sequence[Path] = ()
) -> None:
    """Compile folders of Kotlin into the jar ``target``, warnings as errors.

    Raises:
        BuildFailed: with what the compiler says.
    """
    jars = provide_compiler(settings)
    command = [
        *(str(find_java()), "-cp", str(jars / "kotlin-preloader.jar")),
        *("org.jetbrains.kotlin.preloading.Preloader", "-cp", str(jars / "kotlin-compiler.jar")),
        *("org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", "-kotlin-home", str(jars.parent)),
        *("-no-reflect", f"-Xjdk-release={_JAVA_API}", "-Werror", "-d", str(target)),
        *(("-cp", os.pathsep.join(map(str, classpath))) if classpath else ()),
        *map(str, sources),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise BuildFailed(
            f"Kotlin does not compile:\n{done.stderr.strip()[-3000:]}",
            subject=", ".join(map(str, sources)),
            next_step="See the compiler's messages above.",
        )


def desktop_core(settings: Settings) -> tuple[Path, ...]:
    """Jars that run the app's core on this machine's JVM: core with checks, and Kotlin's library.

    Kept in the cache, named by a hash over the sources.

    Raises:
        BuildFailed: they cannot be compiled.
    """
    folders = [app_source() / part / "src" / "main" / "kotlin" for part in ("core", "checks")]
    digest = hashlib.sha256(str(COMPILER).encode())
    for file in sorted(file for folder in folders for file in folder.rglob("*.kt")):
        digest.update(f"{sha256_of(file)}  {file.name}\n".encode())
    jar = settings.cache_dir / "app" / f"core-{digest.hexdigest()[:16]}.jar"
    with exclusive(jar.with_name(f".{jar.name}.lock")):
        if not jar.is_file():
            with scratch_beside(jar) as scratch:
                with stage("compile the app's core"):
                    compile_kotlin(folders, scratch / jar.name, settings)
                put_in_place(scratch / jar.name, jar)
    return jar, provide_compiler(settings) / "kotlin-stdlib.jar"
