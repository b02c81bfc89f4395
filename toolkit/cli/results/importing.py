"""`slm results import`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import typer

from toolkit.settings import Settings

_STDIN = Path("/dev/stdin")


def import_runs(
    files: list[Path] = typer.Argument(
        help="Exported jsonl, llama-bench's JSON, or what the Android app shares; - is standard input.",
        metavar="FILE",
    ),
    device_name: str | None = typer.Option(
        None, "--device-name", help="What to call the device of a llama-bench file."
    ),
) -> None:
    """Take in runs of other stores, llama-bench, the app.

    Each file is taken whole, or nothing of it. Runs that are there already are left alone. llama-bench's
    tests are compared with each other only: they follow another protocol.

    \b
    Examples:
      slm results import v1.0.jsonl
      slm results import bench.json --device-name pixel-8
    """  # noqa: D301
    from toolkit.profiling.session.shared_run import is_shared_run, keep_raw, read_shared_run
    from toolkit.store import open_store
    from toolkit.store.importing import import_file, readable, take_in

    settings = Settings.from_environment()
    with open_store(settings.store_url) as store:
        for path in [_STDIN if str(file) == "-" else file for file in files]:
            with readable(path, path) as content:
                if is_shared_run(content):
                    imported = take_in(store, path, partial(read_shared_run, path, content))
                    # Of a known run as well: the disk may have been full when it was added.
                    keep_raw(content, settings)
                else:
                    imported = import_file(store, path, device_name=device_name, content=content)
            undo = f"; undo: slm results undo-import {imported.id}" if imported.id else ""
            print(
                f"{path}: {imported.added} runs added, {imported.known} known already{undo}", file=sys.stderr
            )
            if imported.added + imported.known == 0:
                print(f"{path}: holds no runs; was whoever wrote it cut off?", file=sys.stderr)
            if imported.unnamed:
                print(
                    f"{path}: does not say which CPU or GPU, so it counts as a device of its own. "
                    "Say which it is: undo, and import with --device-name",
                    file=sys.stderr,
                )
            if imported.unknown_build:
                print(
                    f"{path}: does not say which build of llama.cpp, so it counts as a version of its own. "
                    "If you know the commit: undo, write it into build_commit, and import again",
                    file=sys.stderr,
                )
