"""Running CMake and ninja, with a log that outlives the build."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from toolkit.errors import BuildFailed
from toolkit.runtime.toolchain import Toolchain

_TIMEOUT_S = 1800
_SHOWN_LINES = 20


def compile_runner(
    source: Path,
    build: Path,
    toolchain: Toolchain,
    *,
    log: Path,
    definitions: dict[str, str],
    targets: Sequence[str] = ("all",),
) -> None:
    """Configure and build ``targets`` of the runner in ``build``.

    Args:
        source: the device_runner folder.
        build: a folder for CMake's files; made when missing.
        toolchain: what builds.
        log: where everything that CMake, ninja and the compiler say goes.
        definitions: CMake cache entries, e.g. ``{"SLM_BUILD_TESTS": "ON"}``.
        targets: names of CMake targets.

    Raises:
        BuildFailed: with the last lines of the log and its path.
    """
    configure = [
        *(str(toolchain.cmake), "-S", str(source), "-B", str(build), "-G", "Ninja"),
        f"-DCMAKE_MAKE_PROGRAM={toolchain.ninja}",
        f"-DCMAKE_CXX_COMPILER={toolchain.compiler}",
        *(f"-D{name}={value}" for name, value in definitions.items()),
    ]
    if toolchain.cmake_file:
        configure.append(f"-DCMAKE_TOOLCHAIN_FILE={source / toolchain.cmake_file}")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("", encoding="utf-8")
    run_logged(configure, log)
    run_logged([str(toolchain.cmake), "--build", str(build), "--target", *targets], log)


def run_logged(command: Sequence[str], log: Path) -> None:
    """Run one command with its output appended to ``log``.

    Raises:
        BuildFailed: it failed or did not end in time.
    """
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(command)}\n")
        file.flush()
        try:
            code = subprocess.run(
                command, stdout=file, stderr=subprocess.STDOUT, timeout=_TIMEOUT_S, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            raise _failed(f"took longer than {_TIMEOUT_S} s", log) from None
    if code != 0:
        raise _failed(f"failed with exit code {code}", log)


def _failed(why: str, log: Path) -> BuildFailed:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:]
    quoted = "\n".join(f"    {line}" for line in lines)
    return BuildFailed(f"building the runner {why}:\n{quoted}", next_step=f"Read the whole log: {log}")
