"""The app's core and JNI library on this machine's JVM."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from contract import Core
from jni_library import library_without_warnings

from toolkit.app.kotlin import desktop_core, find_java
from toolkit.errors import BuildFailed
from toolkit.settings import Settings


@pytest.fixture(scope="session")
def core_jars() -> Sequence[Path]:
    try:
        find_java()
        return desktop_core(Settings.from_environment())
    except BuildFailed as error:
        if "does not compile" in error.what:
            raise
        needs = "needs Debian's package `openjdk-17-jdk-headless` and the npm package kotlin-compiler"
        pytest.skip(f"{needs}: {error.what}")


@pytest.fixture(scope="session")
def core(core_jars: Sequence[Path]) -> Core:
    """Runs slm.toolkit.checks.Main; ``library`` is the folder of a JNI library."""

    def run(*words: str | Path, library: Path | None = None) -> subprocess.CompletedProcess[bytes]:
        path = [f"-Djava.library.path={library}"] if library else []
        jars = ":".join(map(str, core_jars))
        command = [find_java(), "-Xshare:auto", *path, "-cp", jars, "slm.toolkit.checks.MainKt", *words]
        return subprocess.run(command, capture_output=True, timeout=240)

    return run


@pytest.fixture(scope="session")
def ort_library() -> Path:
    return library_without_warnings("onnxruntime")
