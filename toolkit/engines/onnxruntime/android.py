"""What the Android app ships of ONNX Runtime."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

from toolkit.engines.onnxruntime.headers import ARCHIVE, ORT_VERSION, PACKAGE, find_headers
from toolkit.files import put_in_place, scratch_beside
from toolkit.locks import exclusive
from toolkit.npm import download_package
from toolkit.progress import stage
from toolkit.settings import Settings


def headers(settings: Settings) -> Path:
    """The folder of the C headers.

    Raises:
        BuildFailed: they cannot be downloaded.
    """
    return find_headers(settings).provide()


def libraries(settings: Settings) -> Path:
    """The folder ``ABI/libonnxruntime.so``; nothing else of the package is kept.

    Its Java classes would bring telemetry.

    Raises:
        BuildFailed: it cannot be downloaded.
    """
    folder = settings.cache_dir / "onnxruntime-android" / ORT_VERSION
    with exclusive(folder.with_name(f".{folder.name}.lock")):
        if not folder.is_dir():
            with scratch_beside(folder) as scratch:
                what = f"ONNX Runtime for Android (npm package {PACKAGE.name}, {PACKAGE.size}, once)"
                with stage(f"download {what}"):
                    package = download_package(PACKAGE, scratch, brings="ONNX Runtime for Android")
                made = scratch / "made"
                with tarfile.open(package) as outer:
                    archive = outer.extractfile(ARCHIVE)
                    assert archive is not None, "the hash has been checked"
                    with zipfile.ZipFile(archive) as inner:
                        for abi in ("arm64-v8a", "x86_64"):
                            (made / abi).mkdir(parents=True)
                            content = inner.read(f"jni/{abi}/libonnxruntime.so")
                            (made / abi / "libonnxruntime.so").write_bytes(content)
                put_in_place(made, folder)
    return folder
