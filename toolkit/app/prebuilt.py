"""What Gradle needs beside the sources: headers and libraries for Android of the engines that are shipped."""

from __future__ import annotations

import shutil
from pathlib import Path

from toolkit.app.shipped import shipped_engines
from toolkit.app.source import app_source
from toolkit.files import put_in_place, staged_folder
from toolkit.settings import Settings


def provide_prebuilt(settings: Settings) -> Path:
    """Fill ``android_app/prebuilt`` and return the folder to open in Android Studio.

    Raises:
        BuildFailed: an engine cannot be downloaded.
    """
    source = app_source()
    for engine in shipped_engines():
        target = source / "prebuilt" / engine.spec.name
        with staged_folder(target) as folder:
            shutil.copytree(engine.headers(settings), folder / "include")
            shutil.copytree(engine.libraries(settings), folder / "lib")
            put_in_place(folder, target)
    return source
