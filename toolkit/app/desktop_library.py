"""The app's JNI library for this machine's JVM: how it is tested, and what a virtual phone's app runs."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from toolkit.app.shipped import engines_in_app, in_app
from toolkit.app.source import app_source
from toolkit.engines import ENGINES
from toolkit.files import put_in_place, scratch_beside, sha256_of
from toolkit.locks import exclusive
from toolkit.progress import stage
from toolkit.runtime.compile import compile_runner
from toolkit.runtime.engine_build import find_engine
from toolkit.runtime.runner_source import runner_source, source_sha256
from toolkit.runtime.toolchain import find_toolchain
from toolkit.settings import Settings


def build_desktop_library(engine: str, settings: Settings) -> Path:
    """The folder of the JNI library and its engine's libraries; built unless it is there.

    Args:
        engine: one that the app has.
        settings: it is kept in the cache, named by a hash over the sources and the engine.

    Raises:
        RuntimeBundleError: it cannot be built.
    """
    spec = ENGINES.get(engine)
    library = in_app(spec).library
    build = find_engine(spec, settings)
    native, runner = app_source() / "native", runner_source()
    toolchain = find_toolchain()
    digest = hashlib.sha256(f"{build.identity} {build.version} {toolchain.compiler_identity}".encode())
    digest.update(source_sha256(runner).encode())
    for file in sorted(native.iterdir()):
        if file.is_file():
            digest.update(f"{sha256_of(file)}  {file.name}\n".encode())
    folder = settings.cache_dir / "app" / f"{library}-{digest.hexdigest()[:16]}"
    with exclusive(folder.with_name(f".{folder.name}.lock")):
        if not folder.is_dir():
            with scratch_beside(folder) as scratch, stage(f"build the app's library for {spec.title}"):
                files = build.provide()
                engines = {
                    f"SLM_ENGINE_{one.name.upper()}": "ON" if one is spec else "OFF"
                    for one in engines_in_app()
                }
                compile_runner(
                    native,
                    scratch / "build",
                    toolchain,
                    log=settings.cache_dir / "app" / f"{library}.log",
                    definitions={
                        "SLM_DEVICE_RUNNER": str(runner),
                        "SLM_WARNINGS_AS_ERRORS": "OFF",
                        **engines,
                        **files.definitions,
                    },
                    targets=[library],
                )
                made = scratch / "made"
                made.mkdir()
                shutil.copy(scratch / "build" / f"lib{library}.so", made)
                for name, file in files.libraries.items():
                    # An app's libraries end in .so: nothing else is unpacked from an APK.
                    shutil.copy(file, made / f"{name.partition('.so')[0]}.so")
                put_in_place(made, folder)
    return folder
