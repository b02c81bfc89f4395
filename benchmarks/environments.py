"""Each peer's own virtual environment, made on first use and kept under .venvs/."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.child import run_child
from benchmarks.errors import PeerFailed

_REQUIREMENTS = Path(__file__).parent / "requirements"
# A source build of llama.cpp takes about four minutes on two cores.
_INSTALL_TIMEOUT_S = 3600.0


@dataclass(frozen=True)
class Environment:
    """A virtual environment with pinned requirements.

    Attributes:
        name: folder under .venvs and requirements file.
        build_variables: environment variables that shape what pip builds from source.
    """

    name: str
    root: Path
    build_variables: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The environment's folder."""
        return self.root / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.path / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """Where its packages are."""
        return (
            self.path / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
        )

    @property
    def requirements(self) -> Path:
        """The pins."""
        return _REQUIREMENTS / f"{self.name}.txt"

    def ensure(self, log: Path) -> None:
        """Make the environment unless it is there and its pins and build variables are the same.

        Raises:
            PeerFailed: venv or pip failed.
        """
        stamp = self.path / ".installed"
        if stamp.is_file() and stamp.read_text() == self.identity + "\n":
            return
        shutil.rmtree(self.path, ignore_errors=True)
        print(f"install {self.name} (once) ...", flush=True)
        run_child([sys.executable, "-m", "venv", self.path], log=log, timeout_s=300)
        self.pip_install(log, "-r", str(self.requirements))
        stamp.write_text(self.identity + "\n")

    def pip_install(self, log: Path, *arguments: str) -> None:
        """Run pip inside the environment."""
        command: list[str | Path] = [
            self.python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        run_child(
            [*command, *arguments],
            log=log,
            timeout_s=_INSTALL_TIMEOUT_S,
            environment={"CMAKE_BUILD_PARALLEL_LEVEL": "2", **self.build_variables},
        )

    def versions(self, log: Path) -> dict[str, str]:
        """Installed distributions and their versions."""
        run_child([self.python, "-m", "pip", "list", "--format", "json"], log=log, timeout_s=120)
        for line in log.read_text().splitlines():
            if line.startswith("["):
                return {entry["name"]: entry["version"] for entry in json.loads(line)}
        raise PeerFailed(f"pip list said nothing about {self.name}")

    @property
    def identity(self) -> str:
        """Hash of the pins and of what shapes a build."""
        text = self.requirements.read_text() + json.dumps(self.build_variables, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
