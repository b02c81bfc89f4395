"""A run by hand in the Android app, as it is shared: lines of what ran, its result, the app's samples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import toolkit
from toolkit.artifact import Manifest
from toolkit.devices.base import DeviceInfo, Readings
from toolkit.errors import ImportInvalid, ResultInvalid
from toolkit.profiling.description import BundleIdentity, RunDescription
from toolkit.profiling.gate.moments import Moment
from toolkit.profiling.gate.throttling import throttling_by_repetition
from toolkit.profiling.gate_options import GateOptions
from toolkit.profiling.records import Result, parse_result
from toolkit.profiling.request import ProfileRequest
from toolkit.profiling.run_rows import stored_run
from toolkit.profiling.session import raw
from toolkit.profiling.session.ending import ending_of_result, with_throttling
from toolkit.profiling.session.result_check import checked_result
from toolkit.settings import Settings
from toolkit.store.importing import Incoming

SCHEMA = "slm-app-run/1"
_APP_RECORD = re.compile(r'\{\s*"record"\s*:\s*"app"')


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


class AppSample(BaseModel):
    """What is taken of a line of ``app.jsonl``: what Android said at a moment; None is what it did not."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run_id: str
    moment: str
    unix_ns: int
    thermal_status: int | None = Field(None, ge=0, le=6)
    battery_percent: int | None = Field(None, ge=0, le=100)
    charging: bool | None = None

    @property
    def readings(self) -> Readings:
        """As readings of a host."""
        return Readings(
            unix_ns=self.unix_ns,
            thermal_status=self.thermal_status,
            battery_percent=self.battery_percent,
            charging=self.charging,
        )


@dataclass(frozen=True)
class _Parts:
    """A shared file: its first line, the result's lines, the app's samples (none in files of older apps)."""

    head: str
    result: str
    samples: str


def moments_of(samples: Sequence[AppSample]) -> tuple[Moment, ...]:
    """The readings around the run and its repetitions; one begins at the sample that comes before its own."""
    moments: list[Moment] = []
    repetition = 0
    for before, sample in zip((None, *samples), samples, strict=False):
        if sample.moment in ("before", "after"):
            moments.append(Moment("before" if sample.moment == "before" else "after", None, sample.readings))
        elif sample.moment == "repetition" and before is not None:
            moments.append(Moment("before", repetition, before.readings))
            moments.append(Moment("after", repetition, sample.readings))
            repetition += 1
    return tuple(moments)


def is_shared_run(path: Path) -> bool:
    """Whether a file begins like one that the app shares; False of what cannot be read."""
    try:
        with path.open("rb") as file:
            return json.dumps(SCHEMA).encode() in file.readline(1000)
    except OSError:
        return False


def read_shared_run(path: Path, content: Path | None = None) -> Iterator[Incoming]:
    """The run in a file that the app has shared.

    Args:
        path: its name.
        content: where to read it, when that was a pipe that has been read.

    Raises:
        ImportInvalid: it is not whole, or not what the app writes.
    """
    try:
        parts = _parts(content or path)
        shared = SharedRun.model_validate_json(parts.head)
        description = _description(
            shared, parse_result(parts.result, run_id=shared.run_id, subject=str(path))
        )
        result = checked_result(parts.result, description)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise _invalid(path, f"line 1, {where or 'its top'}: {first['msg']}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid(path, f"cannot be read: {error}") from None
    except ResultInvalid as error:
        raise _invalid(path, error.what) from None
    moments = moments_of(_samples(path, parts.samples, shared.run_id))
    serial = shared.device.serial
    ending = ending_of_result(result, shared.manifest.greedy_reference, serial=serial)
    ending = with_throttling(
        ending, throttling_by_repetition(moments, description.device.cpu_cores), serial=serial
    )
    stored = stored_run(description, ending, moments)
    yield Incoming("line 1", stored, shared.manifest.model_dump(mode="json", by_alias=True), ())


def keep_raw(path: Path, settings: Settings) -> Path:
    """Keep the records of a shared run that was taken in, as those of others are, unless they are kept.

    Returns:
        Their folder.

    Raises:
        OSError: there is no room for them.
    """
    parts = _parts(path)
    run_id = SharedRun.model_validate_json(parts.head).run_id
    if (kept := raw.raw_dir(settings, run_id)).is_dir():
        return kept
    with raw.staged(settings, run_id) as folder:
        (folder / "result.jsonl").write_text(parts.result, encoding="utf-8")
        if parts.samples:
            (folder / "app.jsonl").write_text(parts.samples, encoding="utf-8")
        return raw.keep(folder, settings, run_id)


def _parts(path: Path) -> _Parts:
    head, _, rest = path.read_text(encoding="utf-8").partition("\n")
    lines = rest.splitlines(keepends=True)
    samples = [line for line in lines if _APP_RECORD.match(line)]
    return _Parts(head, "".join(line for line in lines if not _APP_RECORD.match(line)), "".join(samples))


def _samples(path: Path, text: str, run_id: str) -> list[AppSample]:
    try:
        samples = [AppSample.model_validate_json(line) for line in text.splitlines()]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its top"
        raise _invalid(path, f"a sample of the app, {where}: {first['msg']}") from None
    if any(sample.run_id != run_id for sample in samples):
        raise _invalid(path, f"a sample of the app does not belong to run {run_id}")
    if samples and samples[-1].moment != "after":
        raise _invalid(path, "the app's samples are cut short")
    return samples


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
