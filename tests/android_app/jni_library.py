"""The JNI library of an engine for this machine's JVM."""

from __future__ import annotations

from pathlib import Path

from toolkit.app.desktop_library import build_desktop_library
from toolkit.app.shipped import in_app
from toolkit.engines import ENGINES
from toolkit.settings import Settings

_CLASSES = {
    "NativeRunner": ("create", "destroy", "cancel", "tell", "finish", "run"),
    "NativeTokenizer": ("open", "destroy", "problem", "encode", "take", "finish"),
}
# What the library brings and the app's classes ask for.
JNI_FUNCTIONS = {
    f"Java_slm_toolkit_core_{owner}_{name}" for owner, names in _CLASSES.items() for name in names
}


def library_without_warnings(engine: str) -> Path:
    """The JNI library of an engine; whoever compiled it, the compiler had nothing to say."""
    settings = Settings.from_environment()
    folder = build_desktop_library(engine, settings)
    log = settings.cache_dir / "app" / f"{in_app(ENGINES.get(engine)).library}.log"
    assert "warning:" not in log.read_text()
    return folder
