"""Taking in runs from a file: our JSON lines, or llama-bench's JSON. The whole file, or nothing of it.

The file is read twice: everything is checked before the first row is written. Runs that the store has are
left alone, by their ids, so importing a file again does nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from toolkit.errors import ImportInvalid, UsageError
from toolkit.files import readable_again
from toolkit.store import tables
from toolkit.store.export import SCHEMA
from toolkit.store.first_export import FIRST, of_first_schema
from toolkit.store.ids import new_run_id
from toolkit.store.import_checks import is_in_future, wrong_with
from toolkit.store.llama_bench_file import binary_kind, encoding_of, json_begins, rows_in
from toolkit.store.llama_bench_import import UNKNOWN_BUILD, runs_of_llama_bench, serial_of
from toolkit.store.llama_bench_names import names_a_chip
from toolkit.store.row_columns import values_of
from toolkit.store.rows import Artifact, Condition, Device, Measurement, Repetition, Run, StoredRun
from toolkit.store.store import Store, insert_if_absent, write_run

# What pydantic calls one: in its models, and in dataclasses.
_UNKNOWN_FIELD = ("extra_forbidden", "unexpected_keyword_argument")
# Longest start of a file that is looked at to tell what it is.
_LOOKED_AT_CHARACTERS = 100_000


class PortableRun(BaseModel):
    """One line of our export (slm-stored-run/2, or /1 of older toolkits); unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: Literal["slm-stored-run/1", "slm-stored-run/2"] = Field(alias="schema")
    run: Run
    device: Device
    artifact: Artifact
    measurements: list[Measurement]
    repetitions: list[Repetition]
    conditions: list[Condition]
    manifest: dict[str, Any]
    tags: list[str]

    @model_validator(mode="before")
    @classmethod
    def _of_older_toolkits(cls, data: Any) -> Any:
        return of_first_schema(data) if isinstance(data, dict) and data.get("schema") == FIRST else data

    def stored(self) -> StoredRun:
        """As the store writes it."""
        return StoredRun(
            run=self.run,
            device=self.device,
            artifact=self.artifact,
            measurements=self.measurements,
            repetitions=self.repetitions,
            conditions=self.conditions,
        )


@dataclass(frozen=True)
class Incoming:
    """A run to take in, and where in the file it stood: "line 3"."""

    place: str
    stored: StoredRun
    manifest: dict[str, Any]
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Imported:
    """How many runs were added, and how many were there already.

    ``id`` names the import, to undo it; None when nothing was added. ``unnamed`` says that the file names no
    device, so that it counts as one of its own; ``unknown_build`` the same of llama.cpp's version.
    """

    added: int
    known: int
    id: str | None = field(default=None, compare=False)
    unnamed: bool = field(default=False, compare=False)
    unknown_build: bool = field(default=False, compare=False)


def import_file(
    store: Store, path: Path, *, device_name: str | None = None, content: Path | None = None
) -> Imported:
    """Take in a file.

    Args:
        store: where the runs go.
        path: JSON lines of ours, or llama-bench's output in JSON or JSON lines.
        content: where to read what stands in ``path``, when that was a pipe that has been read.
        device_name: what to call the device of a llama-bench file, which names only its CPU.

    Raises:
        UsageError: the file cannot be read.
        ImportInvalid: something in it cannot be taken in; says where. Nothing is written.
    """
    with readable(path if content is None else content, path) as again:
        imported = take_in(store, path, lambda: _read(path, again, device_name))
    return replace(imported, unnamed=imported.unnamed and device_name is None)


@contextmanager
def readable(content: Path, path: Path) -> Iterator[Path]:
    """A file that can be read as often as is needed; what a pipe brings is written to one.

    Args:
        content: what to read.
        path: its name, for errors.

    Raises:
        UsageError: it cannot be read.
    """
    with ExitStack() as stack:
        try:
            again = stack.enter_context(readable_again(content))
        except OSError as error:
            raise _unreadable(path, error) from None
        yield again


def take_in(store: Store, path: Path, read: Callable[[], Iterator[Incoming]]) -> Imported:
    """Take in what a reader finds in a file, which is called twice: to check everything, and to write it.

    Raises:
        ImportInvalid: something in it cannot be taken in; says where. Nothing is written.
    """
    devices: dict[str, Device] = {}
    versions: set[str] = set()
    artifacts: dict[str, tuple[Artifact, dict[str, Any]]] = {}
    for incoming in read():
        _check(incoming, path)
        devices[incoming.stored.device.key] = incoming.stored.device
        versions.add(incoming.stored.run.engine_version)
        artifacts[incoming.stored.artifact.sha256] = (incoming.stored.artifact, incoming.manifest)
    added = known = 0
    import_id, unix_ns = new_run_id()[:8], time.time_ns()
    with store.writing() as connection:
        # In one order for everybody, or two imports into a server could wait for each other.
        for key in sorted(devices):
            insert_if_absent(connection, tables.devices, values_of(devices[key]))
        for sha256 in sorted(artifacts):
            artifact, manifest = artifacts[sha256]
            insert_if_absent(connection, tables.artifacts, {**values_of(artifact), "manifest": manifest})
        for incoming in read():
            if write_run(connection, incoming.stored, incoming.manifest):
                _tag(connection, incoming)
                _note(connection, incoming, import_id, path, unix_ns)
                added += 1
            else:
                known += 1
    unnamed = any(
        device.kind == "imported"
        and device.serial == serial_of(device.key)
        and not any(names_a_chip(one or "") for one in (device.model, device.soc))
        for device in devices.values()
    )
    unknown_build = any(version.startswith(UNKNOWN_BUILD) for version in versions)
    return Imported(added, known, import_id if added else None, unnamed, unknown_build)


def _note(connection: sa.Connection, incoming: Incoming, import_id: str, path: Path, unix_ns: int) -> None:
    """What brought the run; a run that was given up and is replaced belongs to the import from now on."""
    run_id = incoming.stored.run.id
    connection.execute(sa.delete(tables.imports).where(tables.imports.c.run_id == run_id))
    connection.execute(
        sa.insert(tables.imports),
        {"run_id": run_id, "import_id": import_id, "file": str(path.absolute()), "unix_ns": unix_ns},
    )


def _tag(connection: sa.Connection, incoming: Incoming) -> None:
    if incoming.tags:
        run_id = incoming.stored.run.id
        # A run that was given up keeps its tags when its result replaces it.
        connection.execute(sa.delete(tables.tags).where(tables.tags.c.run_id == run_id))
        connection.execute(
            sa.insert(tables.tags), [{"run_id": run_id, "tag": tag} for tag in dict.fromkeys(incoming.tags)]
        )


def _read(path: Path, content: Path, device_name: str | None) -> Iterator[Incoming]:
    with _opened(path, content) as text:
        first = json_begins(text.read(_LOOKED_AT_CHARACTERS)).partition("\n")[0]
        text.seek(0)
        if first.startswith("{") and '"schema"' in first:
            for number, line in enumerate(text, start=1):
                if line.strip() and not _is_log(line):
                    yield _ours(line, f"line {number}", path)
        else:
            yield from _llama_bench(rows_in(text.read(), str(path), _EXPECTED), path, device_name)


@contextmanager
def _opened(path: Path, content: Path) -> Iterator[Any]:
    try:
        with content.open("rb") as binary:
            start = binary.read(16)
        if kind := binary_kind(start):
            raise ImportInvalid(f"is not JSON: it is {kind}", subject=str(path), next_step=_EXPECTED)
        encoding = encoding_of(start[:4])
        with content.open(encoding=encoding) as text:
            yield text
    except OSError as error:
        raise _unreadable(path, error) from None
    except (json.JSONDecodeError, UnicodeError, RecursionError) as error:
        raise ImportInvalid(f"is not JSON: {error}", subject=str(path), next_step=_EXPECTED) from None


def _is_log(line: str) -> bool:
    """Whether some program printed a line among ours: half a run has a key in it, or an end too many."""
    text = line.strip()
    if text.startswith("{") or '":' in text or text.count("}") > text.count("{"):
        return False
    try:
        json.loads(text)
    except ValueError:
        return True
    return False


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"cannot be read: {error.strerror or error}",
        subject=str(path),
        next_step="Check the path, and who may read the file.",
    )


def _ours(line: str, place: str, path: Path) -> Incoming:
    try:
        read = PortableRun.model_validate_json(line, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        newer = " (written by a newer slm-toolkit?)" if first["type"] in _UNKNOWN_FIELD else ""
        what = f"{field}: {first['msg']}" if field else first["msg"]
        raise _invalid(path, place, what + newer) from None
    return Incoming(place, read.stored(), read.manifest, tuple(read.tags))


def _llama_bench(rows: Any, path: Path, device_name: str | None) -> Iterator[Incoming]:
    if (
        isinstance(rows, list)
        and rows
        and isinstance(rows[0], dict)
        and rows[0].get("schema") in (FIRST, SCHEMA)
    ):
        raise ImportInvalid(
            "is our json, which imports do not read",
            subject=str(path),
            next_step="Export with --format jsonl.",
        )
    for number, (stored, manifest) in enumerate(runs_of_llama_bench(rows, str(path), device_name), start=1):
        yield Incoming(f"test {number}", stored, manifest, ())


def _check(incoming: Incoming, path: Path) -> None:
    """What the types do not say."""
    if wrong := wrong_with(incoming.stored, incoming.manifest, incoming.tags):
        raise _invalid(path, incoming.place, wrong)
    begun = datetime.fromtimestamp(incoming.stored.run.created_unix_ns // 1_000_000_000, UTC)
    if is_in_future(begun):
        raise ImportInvalid(
            f"{incoming.place}: run.created_unix_ns is {begun.isoformat(timespec='seconds')}, and now is "
            f"{datetime.now(UTC).isoformat(timespec='seconds')}",
            subject=str(path),
            next_step="Nothing was imported. Set this machine's clock; or, if that of where the run was made "
            "was wrong, write the time of the measurement into created_unix_ns.",
        )


def _invalid(path: Path, place: str, what: str) -> ImportInvalid:
    return ImportInvalid(
        f"{place}: {what}", subject=str(path), next_step=f"Nothing was imported. {_EXPECTED}"
    )


_EXPECTED = "Expected is what `slm results export --format jsonl` or `llama-bench -o json` writes."
