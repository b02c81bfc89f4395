"""What Gradle needs beside the sources: ONNX Runtime's headers and its libraries for Android."""

from __future__ import annotations

import shutil
from pathlib import Path

from toolkit.app.android_tools import onnxruntime_libraries
from toolkit.app.source import app_source
from toolkit.engines.onnxruntime.headers import find_headers
from toolkit.files import put_in_place, staged_folder
from toolkit.settings import Settings


def provide_prebuilt(settings: Settings) -> Path:
    """Fill ``android_app/prebuilt`` and return the folder to open in Android Studio.

    Raises:
        BuildFailed: ONNX Runtime cannot be downloaded.
    """
    source = app_source()
    target = source / "prebuilt" / "onnxruntime"
    with staged_folder(target) as folder:
        shutil.copytree(find_headers(settings).provide(), folder / "include")
        shutil.copytree(onnxruntime_libraries(settings), folder / "lib")
        put_in_place(folder, target)
    return source
