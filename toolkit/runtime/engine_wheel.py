"""The engines' wheels for ABIs other than the host's, fetched with pip and unpacked, not installed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from toolkit.engines.spec import EngineSpec
from toolkit.errors import BuildFailed, EngineMismatch
from toolkit.files import put_in_place, scratch_beside
from toolkit.locks import exclusive
from toolkit.progress import stage
from toolkit.settings import Settings

# Wheels are pinned for it, whichever Python runs here: their C++ libraries serve without Python.
_PYTHON = "3.12"
_PLATFORMS = {"arm64-v8a": ("manylinux_2_28_aarch64", "manylinux2014_aarch64")}
# Licences are part of a bundle, wherever they are; the rest of a wheel is Python.
_WANTED_ANYWHERE = ".dist-info/licenses/"
_COMPLETE = ".complete"
_TIMEOUT_S = 1800


@dataclass(frozen=True)
class EngineWheel:
    """A wheel that is unpacked, or will be once :meth:`provide` has run.

    Attributes:
        path: where its files are or will be, laid out as in site-packages.
        sha256: of the wheel.
        taken: how the paths begin of what is unpacked.
    """

    package: str
    version: str
    abi: str
    sha256: str
    taken: tuple[str, ...]
    path: Path

    def provide(self) -> Path:
        """Download and unpack the wheel unless that is done, and return its folder.

        pip downloads it from wherever the user's pip is configured to.

        Raises:
            BuildFailed: pip is missing, the download failed, or the wheel is not the pinned one.
        """
        if not (self.path / _COMPLETE).is_file():
            with exclusive(self.path.with_name(f".{self.path.name}.lock")):
                if not (self.path / _COMPLETE).is_file():
                    self._download()
        return self.path

    def _download(self) -> None:
        with scratch_beside(self.path) as scratch:
            with stage(f"download {self.package} {self.version} for {self.abi}"):
                wheel = _pip_download(self, scratch)
            unpacked = scratch / "unpacked"
            unpack_wheel(wheel, unpacked, self.taken)
            (unpacked / _COMPLETE).touch()
            put_in_place(unpacked, self.path)


def find_wheel(engine: EngineSpec, version: str, abi: str, settings: Settings) -> EngineWheel:
    """Say which wheel holds the libraries of ``version`` for ``abi``; nothing is downloaded yet.

    Raises:
        EngineMismatch: no wheel of this version is pinned.
    """
    runner, package = engine.needed_runner(), engine.package
    sha256 = runner.wheels.get((version, abi))
    if sha256 is None:
        known = sorted(pinned for pinned, for_abi in runner.wheels if for_abi == abi)
        raise EngineMismatch(
            f"no wheel of {package} {version} for {abi} is known to this version of the toolkit",
            next_step=f"Install a version with one: pip install {package}=={known[-1]}"
            if known
            else "Run it on a device of this machine's ABI, or convert for another engine.",
        )
    path = settings.cache_dir / "engines" / f"{package}-{version}-{abi}-{sha256[:16]}"
    return EngineWheel(package, version, abi, sha256, runner.taken, path)


def _pip_download(wheel: EngineWheel, folder: Path) -> Path:
    subject = f"{wheel.package}=={wheel.version}"
    if importlib.util.find_spec("pip") is None:
        raise BuildFailed(
            "pip, which downloads the engine, is not installed in this environment",
            subject=subject,
            next_step=f"Install it: {sys.executable} -m ensurepip",
        )
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{subject} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    platforms = [word for name in _PLATFORMS[wheel.abi] for word in ("--platform", name)]
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(requirements)),
        *("--implementation", "cp", "--python-version", _PYTHON, *platforms, "--dest", str(folder)),
    ]
    again = "Check the network and pip's configuration, and run it again."
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise BuildFailed(f"no download in {_TIMEOUT_S} s", subject=subject, next_step=again) from None
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        said = done.stderr.strip()[-500:] or f"pip exit code {done.returncode}"
        if "no space left" in said.lower():
            again = f"Make room in {folder.parent} (SLM_CACHE_DIR) and for temporary files (TMPDIR)."
        raise BuildFailed(f"pip could not download it: {said}", subject=subject, next_step=again)
    return wheels[0]


def unpack_wheel(wheel: Path, target: Path, taken: tuple[str, ...]) -> None:
    """Unpack what a bundle is made of, and nothing else.

    Args:
        wheel: the file.
        target: the folder to make.
        taken: how the paths begin of what is unpacked, licences apart.

    Raises:
        BuildFailed: not a wheel of an engine.
    """
    target.mkdir()
    try:
        with zipfile.ZipFile(wheel) as archive:
            wanted = [
                name
                for name in archive.namelist()
                if name.startswith(taken) or _WANTED_ANYWHERE in name and not name.endswith("/")
            ]
            archive.extractall(target, wanted)
    except zipfile.BadZipFile as error:
        raise BuildFailed(f"is damaged: {error}", subject=wheel.name, next_step="Build again.") from None
    if not wanted:
        raise BuildFailed(
            "holds no engine library",
            subject=wheel.name,
            next_step="This is a bug of the toolkit with this engine version: please report it.",
        )
