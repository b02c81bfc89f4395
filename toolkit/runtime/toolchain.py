"""The compiler, CMake and ninja that build the runner."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import BuildFailed
from toolkit.extras import install_command
from toolkit.runtime.abi import CROSS_COMPILERS, runnable_host_abi

# What CMakeLists.txt asks for.
CMAKE_MINIMUM = (3, 28)


@dataclass(frozen=True)
class Toolchain:
    """Paths of the tools.

    Attributes:
        cmake: CMake.
        ninja: ninja.
        compiler: the C++ compiler.
        compiler_identity: the compiler's version line and target.
        cmake_file: what CMake is told of a cross compiler, relative to the runner's sources.
        install: how to get the compiler.
    """

    cmake: Path
    ninja: Path
    compiler: Path
    compiler_identity: str
    cmake_file: str | None = None
    install: str = "apt-get install g++"

    def runtime_file(self, name: str) -> Path:
        """Where the compiler's own runtime keeps a library.

        Raises:
            BuildFailed: it has none of this name.
        """
        said = _output([str(self.compiler), f"-print-file-name={name}"])
        path = Path(said)
        # The compiler echoes a name it does not know.
        if not path.is_absolute() or not path.exists():
            raise BuildFailed(
                f"its runtime holds no {name}",
                subject=str(self.compiler),
                next_step=f"Install the C and C++ runtime libraries (Debian: {self.install}).",
            )
        return path.resolve()


def find_toolchain(environ: Mapping[str, str] = os.environ, *, abi: str | None = None) -> Toolchain:
    """Find the tools: CMake and ninja in their PyPI packages first, then on PATH.

    Args:
        environ: ``PATH``, and ``CXX`` for this machine's own ABI.
        abi: what the compiler compiles for; None for this machine's own.

    Raises:
        BuildFailed: a tool is missing or too old.
    """
    cross = CROSS_COMPILERS[abi] if abi not in (None, runnable_host_abi()) else None
    install = f"apt-get install {cross.package if cross else 'g++'}"
    compiler = _find_compiler(environ, [cross.program] if cross else None, install)
    identity = (
        f"{_output([str(compiler), '--version']).splitlines()[0]} {_output([str(compiler), '-dumpmachine'])}"
    )
    cmake_file = cross.toolchain_file if cross else None
    return Toolchain(_find_cmake(), _find_ninja(), compiler, identity, cmake_file, install)


def _find_compiler(environ: Mapping[str, str], programs: list[str] | None, install: str) -> Path:
    asked = environ.get("CXX")
    # A cross compiler has one name, and CXX names the host's.
    names = programs or ([asked] if asked else ["g++", "clang++"])
    for name in names:
        found = shutil.which(name, path=environ.get("PATH"))
        if found:
            return Path(found)
    raise BuildFailed(
        f"no C++ compiler: {names[0]} is not on PATH",
        next_step=f"Install it (Debian: {install})" + ("." if programs else " or name one in CXX."),
    )


def _find_cmake() -> Path:
    packaged = _package_file("cmake", "data/bin/cmake")
    candidates = [packaged] if packaged else []
    on_path = shutil.which("cmake")
    if on_path:
        candidates.append(Path(on_path))
    for candidate in candidates:
        if cmake_version(_output([str(candidate), "--version"])) >= CMAKE_MINIMUM:
            return candidate
    wanted = ".".join(str(part) for part in CMAKE_MINIMUM)
    what = f"{on_path} is older than CMake {wanted}" if on_path else "CMake is not installed"
    raise BuildFailed(what, next_step=f"Install it: {install_command('runner')}")


def cmake_version(text: str) -> tuple[int, int]:
    """Parse the output of ``cmake --version``; (0, 0) when it is something else."""
    found = re.search(r"version (\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _find_ninja() -> Path:
    spec = importlib.util.find_spec("ninja")
    if spec is not None:
        import ninja

        packaged = Path(ninja.BIN_DIR) / "ninja"
        if packaged.is_file():
            return packaged
    on_path = shutil.which("ninja")
    if on_path is None:
        raise BuildFailed("ninja is not installed", next_step=f"Install it: {install_command('runner')}")
    return Path(on_path)


def _package_file(package: str, relative: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / relative
    return path if path.is_file() else None


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildFailed(
            f"does not run: {error}", subject=command[0], next_step="Reinstall it, or take it off PATH."
        ) from None
