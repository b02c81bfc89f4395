"""The ONNX Runtime C headers, which no Python wheel carries.

They come from the Android archive inside an npm package, pinned by hash; only the headers are kept.
The C interface only ever grows, so headers of 1.29 drive any later library. ``ORT_INCLUDE_DIR`` names
a folder to use instead.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import BuildFailed, EngineMismatch
from toolkit.extras import install_command
from toolkit.files import put_in_place, scratch_beside, sha256_of
from toolkit.locks import exclusive
from toolkit.npm import NpmPackage, download_package
from toolkit.progress import stage
from toolkit.settings import Settings

PACKAGE = NpmPackage(
    "com.github.asus4.onnxruntime",
    "0.4.9",
    "e59788788818fdde1b2e522e766a21ba0f7d8391de55737abf81e32cc801785d",
    "150 MB",
    320_000_000,
)
ORT_VERSION = "1.29.0"
# Holds headers and libraries for Android.
ARCHIVE = "package/Plugins/Android/onnxruntime.aar"
_MAIN_HEADER = "onnxruntime_c_api.h"
_REPLACE = "Or set ORT_INCLUDE_DIR to a folder that holds onnxruntime_c_api.h and onnxruntime_cxx_api.h."


@dataclass(frozen=True)
class Headers:
    """Headers that are there, or will be once :meth:`provide` has run.

    Attributes:
        identity: changes whenever the headers do; known without having them.
        interface_version: ORT_API_VERSION, the C interface that a library must have at least.
    """

    path: Path
    identity: str
    interface_version: int
    from_package: bool

    def provide(self) -> Path:
        """Download the headers unless they are there, and return their folder.

        Raises:
            BuildFailed: npm is missing, the download failed, or the package is not the expected one.
        OSError: there is no room for it.
        """
        if self.from_package and not (self.path / _MAIN_HEADER).is_file():
            with exclusive(self.path.with_name(f".{self.path.name}.lock")):
                if not (self.path / _MAIN_HEADER).is_file():
                    _download(self.path)
        return self.path


def find_headers(settings: Settings, environ: Mapping[str, str] = os.environ) -> Headers:
    """Say which headers a build will use.

    Raises:
        BuildFailed: ORT_INCLUDE_DIR names a folder without them.
    """
    replaced = environ.get("ORT_INCLUDE_DIR")
    if not replaced:
        path = settings.cache_dir / "onnxruntime-headers" / ORT_VERSION
        return Headers(path, str(PACKAGE), int(ORT_VERSION.split(".")[1]), True)
    path = Path(replaced).absolute()
    main = path / _MAIN_HEADER
    found = (
        re.search(r"#define ORT_API_VERSION (\d+)", main.read_text(encoding="utf-8"))
        if main.is_file()
        else None
    )
    if found is None:
        raise BuildFailed(
            f"ORT_INCLUDE_DIR holds no {_MAIN_HEADER}",
            subject=str(path),
            next_step="Point it at the folder of the ONNX Runtime headers, or unset it.",
        )
    hashes = "".join(sha256_of(file) for file in sorted(path.glob("onnxruntime_*")) if file.is_file())
    return Headers(path, hashlib.sha256(hashes.encode()).hexdigest(), int(found[1]), False)


def headers_for(version: str, settings: Settings) -> Headers:
    """The headers that the runner of an engine's version is compiled with.

    Raises:
        EngineMismatch: they are newer than the engine.
        BuildFailed: ORT_INCLUDE_DIR names a folder without them.
    """
    headers = find_headers(settings)
    # 31 in 1.31.1 counts the versions of the C interface.
    if int(version.split(".")[1]) < headers.interface_version:
        raise EngineMismatch(
            f"onnxruntime {version} is older than the headers (1.{headers.interface_version})",
            next_step=f"Install the engine: {install_command('runner')}",
        )
    return headers


def _download(target: Path) -> None:
    with scratch_beside(target) as scratch:
        with stage(f"download the ONNX Runtime headers (npm package {PACKAGE.name}, {PACKAGE.size}, once)"):
            package = download_package(
                PACKAGE, scratch, brings="the ONNX Runtime headers", otherwise=_REPLACE
            )
        extracted = scratch / "headers"
        extract_headers(package, extracted)
        put_in_place(extracted, target)


def extract_headers(package: Path, target: Path) -> None:
    """Take the headers, and nothing else, out of the Android archive inside the npm package.

    Raises:
        BuildFailed: the package is not laid out as expected.
    """
    try:
        with tarfile.open(package) as outer:
            archive = outer.extractfile(ARCHIVE)
            if archive is None:
                raise KeyError(ARCHIVE)
            with zipfile.ZipFile(archive) as inner:
                target.mkdir()
                for name in inner.namelist():
                    folder, _, file = name.rpartition("/")
                    if folder == "headers" and file:
                        (target / file).write_bytes(inner.read(name))
    except (KeyError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise BuildFailed(
            f"holds no readable {ARCHIVE}: {error}", subject=package.name, next_step=_REPLACE
        ) from None
    if not (target / _MAIN_HEADER).is_file():
        raise BuildFailed(f"holds no {_MAIN_HEADER}", subject=package.name, next_step=_REPLACE)
