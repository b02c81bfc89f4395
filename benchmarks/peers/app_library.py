"""Our artifacts on the Android app's JNI library, which a JVM loads in place of Android."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.peers.base import Workplace
from benchmarks.peers.ours import Ours, Variant
from toolkit.app.desktop_library import build_desktop_library
from toolkit.app.driver import CONTRACT
from toolkit.app.kotlin import desktop_core, find_java
from toolkit.runtime.bundle import Bundle

IN_APP = Variant(
    "own",
    "-app-library",
    ", the app's library in a JVM",
    "the same runner as the Android app has it, else as the row of the shell's; memory holds the JVM's",
)


class OursInApp(Ours):
    """What the app's own code makes of a command line; a JVM is started with it."""

    def _command(self, place: Workplace, bundle: Bundle, words: list[str]) -> list[str | Path]:
        library = build_desktop_library(self.engine, self.settings)
        said = [f"slm-app/{CONTRACT}", self.engine, *words]
        said += ["--engine-library", str(library / "libonnxruntime.so")]
        arguments = place.answer(self.name, "arguments")
        arguments.write_bytes(b"".join(os.fsencode(word) + b"\0" for word in said))
        jars = ":".join(map(str, desktop_core(self.settings)))
        java = [find_java(), f"-Djava.library.path={library}", "-cp", jars]
        return [*java, "slm.toolkit.checks.MainKt", "run", arguments]
