"""A run by hand in the Android app, as the app shares it: JSON lines, what ran first, then its result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import toolkit
from toolkit.artifact import Manifest
from toolkit.devices.base import DeviceInfo, Readings
from toolkit.errors import ImportInvalid, ResultInvalid
from toolkit.profiling.description import BundleIdentity, RunDescription
from toolkit.profiling.gate_options import GateOptions
from toolkit.profiling.records import Result, parse_result
from toolkit.profiling.request import ProfileRequest
from toolkit.profiling.run_rows import stored_run
from toolkit.profiling.session.ending import ending_of_result
from toolkit.profiling.session.result_check import checked_result
from toolkit.store.importing import Incoming

SCHEMA = "slm-app-run/1"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class SharedApp(_Part):
    """The app that ran; ``sha256`` is that of its package."""

    version: str
    contract: int
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class SharedDevice(_Part):
    """The phone, as Android describes it to apps; ``serial`` is one that the app made up for itself."""

    serial: str = Field(min_length=1, max_length=64)
    manufacturer: str | None
    model: str | None
    soc: str | None
    abi: str
    os_version: str | None
    api_level: int | None
    build: str | None
    cpu_cores: int | None
    ram_bytes: int | None
    emulated: bool


class SharedRun(_Part):
    """The first line of the file."""

    schema_: Literal["slm-app-run/1"] = Field(alias="schema")
    run_id: str = Field(pattern="^[0-9a-z]{16}$")
    created_unix_ns: int
    app: SharedApp
    device: SharedDevice
    manifest: Manifest


def is_shared_run(path: Path) -> bool:
    """Whether a file begins like one that the app shares; False of what cannot be read."""
    try:
        with path.open("rb") as file:
            return json.dumps(SCHEMA).encode() in file.readline(1000)
    except OSError:
        return False


def read_shared_run(path: Path) -> Iterator[Incoming]:
    """The run in a file that the app has shared.

    Raises:
        ImportInvalid: it is not whole, or not what the app writes.
    """
    try:
        head, _, rest = path.read_text(encoding="utf-8").partition("\n")
        shared = SharedRun.model_validate_json(head)
        description = _description(shared, parse_result(rest, run_id=shared.run_id, subject=str(path)))
        result = checked_result(rest, description)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise _invalid(path, f"line 1, {where or 'its top'}: {first['msg']}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid(path, f"cannot be read: {error}") from None
    except ResultInvalid as error:
        raise _invalid(path, error.what) from None
    ending = ending_of_result(result, shared.manifest.greedy_reference, serial=shared.device.serial)
    stored = stored_run(description, ending, ())
    yield Incoming("line 1", stored, shared.manifest.model_dump(mode="json", by_alias=True), ())


def _description(shared: SharedRun, result: Result) -> RunDescription:
    """What was asked is what was done: nobody asked but the app."""
    start = result.start
    options = ProfileRequest(
        prompt_tokens=start.prompt_tokens,
        generate_tokens=start.generate_tokens,
        depth=start.depth,
        repetitions=start.repetitions,
        warmup=start.warmup,
        runner="app",
        gate=GateOptions(name="off"),
    )
    bundle = BundleIdentity(
        engine=start.engine, engine_version=start.engine_version, abi=start.abi, sha256=shared.app.sha256
    )
    return RunDescription(
        run_id=shared.run_id,
        created_unix_ns=shared.created_unix_ns,
        toolkit_version=toolkit.__version__,
        device=DeviceInfo(kind="adb", state="device", **shared.device.model_dump()),
        options=options,
        manifest=shared.manifest,
        bundle=bundle,
        argv=(),
        before=Readings(unix_ns=start.started_unix_ns),
    )


def _invalid(path: Path, what: str) -> ImportInvalid:
    return ImportInvalid(
        what, subject=str(path), next_step="Nothing was imported. Share the run from the app once more."
    )
