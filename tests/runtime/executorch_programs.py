"""Programs that slm convert wrote, and what may be wrong with one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner

from toolkit.artifact import MANIFEST, Artifact, file_entries
from toolkit.cli.main import app

Damage = Callable[[bytes], bytes]


def convert(model: str, folder: Path, *flags: str) -> Artifact:
    """What the command line makes of flags, in this process: ExecuTorch takes seconds to import."""
    import loaded_executorch  # noqa: F401

    command = ["convert", model, "--backend", "executorch", "-o", str(folder), *flags]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return Artifact.load(folder)


def cut(program: bytes) -> bytes:
    return program[:-1000]


def newer(program: bytes) -> bytes:
    """As if a later ExecuTorch, with another file format, had written it."""
    return program.replace(b"ET12", b"ET13", 1)


def with_unknown_kernel(program: bytes) -> bytes:
    return program.replace(b"llama::update_cache", b"llama::update_cacha")


def with_unknown_backend(program: bytes) -> bytes:
    return program.replace(b"XnnpackBackend", b"XnnpackBackenX")


def damaged(program: bytes) -> bytes:
    return program[:200] + bytes(range(256)) * 8 + program[200 + 8 * 256 :]


def with_damage(artifact: Artifact, folder: Path, damage: Damage) -> Artifact:
    """A copy whose manifest knows the program as it is now: only the runner can find out."""
    shutil.copytree(artifact.path, folder)
    program = folder / artifact.manifest.model_file
    program.write_bytes(damage(program.read_bytes()))
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"] = [entry.model_dump(mode="json") for entry in file_entries(folder)]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return Artifact.load(folder)
