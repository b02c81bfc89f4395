"""A described and ended run as rows of the store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from toolkit.analysis import metrics
from toolkit.artifact import Manifest, TensorQuantization
from toolkit.devices.base import DeviceInfo
from toolkit.profiling.description import RunDescription
from toolkit.profiling.energy.net import Energy, energy_of
from toolkit.profiling.gate.limits import limits_for, unreadable
from toolkit.profiling.gate.moments import Moment
from toolkit.profiling.gate.throttling import Throttling, throttling_by_repetition
from toolkit.profiling.memory_parts import memory_parts
from toolkit.profiling.records import Record, Result
from toolkit.profiling.request import ProfileRequest
from toolkit.profiling.roofline import Roofline, RooflinePoint
from toolkit.profiling.session.ending import Ending
from toolkit.store.measurements import measurement, quantities
from toolkit.store.rows import (
    COMPARABLE_FACTS,
    Artifact,
    Condition,
    Device,
    DeviceRoofline,
    Measurement,
    Repetition,
    Run,
    Setting,
    StoredRun,
)

# Options that are columns of a run under the same name. A gate and energy are more than one value.
_PLAIN_OPTIONS = {field.name for field in fields(Run)} - {"gate", "energy"}


def stored_run(description: RunDescription, ending: Ending, moments: Sequence[Moment]) -> StoredRun:
    """Rows of a run. Figures are given only when the status is ok: no number without a valid run.

    Args:
        description: what was asked.
        ending: how it ended.
        moments: the readings around it and around its repetitions.
    """
    throttling = throttling_by_repetition(moments, description.device.cpu_cores)
    device = device_row(description.device)
    artifact = artifact_row(description.manifest)
    asked = description.options
    run: dict[str, Any] = {
        "id": description.run_id,
        "device_key": device.key,
        "artifact_sha256": artifact.sha256,
        "status": ending.status,
        "error": str(ending.error) if ending.error else None,
        "protocol": description.protocol,
        "created_unix_ns": description.created_unix_ns,
        "toolkit_version": description.toolkit_version,
        "engine": description.bundle.engine,
        "engine_version": description.bundle.engine_version,
        "runner_version": None,
        "kernels": None,
        "abi": description.bundle.abi,
        "bundle_sha256": description.bundle.sha256,
        "argv": description.argv,
        "exit_code": ending.exit_code,
        "context_length": description.manifest.context_length,
        "greedy_matched": ending.greedy_matched,
        "greedy_total": ending.greedy_total,
        **{name: value for name, value in asked.model_dump().items() if name in _PLAIN_OPTIONS},
        "settings": _settings(asked),
        "recipe": description.origin.recipe if description.origin else None,
        "batch": description.origin.batch if description.origin else None,
        **_gate(description, ending, moments),
        "power_source": _power_source(moments),
    }
    if ending.result is not None:
        run |= _as_run(ending.result)
        run["repetitions"] = len(ending.result.measured)
        run["throttled_repetitions"] = _throttled_repetitions(ending.result, throttling)
        if ending.status == "ok":
            run |= _figures(ending.result)
    energy = _energy(description, ending, moments)
    measurements = tuple(energy.measurements()) if energy else ()
    if ending.result is not None and ending.status == "ok":
        measurements += (*_recorded(ending.result), *memory_parts(ending.result.memory))
    return StoredRun(
        run=Run(**run, energy=energy.method if energy else None),
        device=device,
        artifact=artifact,
        measurements=measurements,
        repetitions=_repetitions(ending.result, throttling),
        conditions=_conditions(moments),
    )


def device_row(info: DeviceInfo) -> Device:
    """The device's row, keyed by what makes it comparable."""
    facts = asdict(info)
    # A phone on USB has its hardware's serial number for its serial: its key is what it was before.
    told = [info.identity or info.serial, *(facts[name] for name in COMPARABLE_FACTS)]
    return Device(
        key=hashlib.sha256(json.dumps(told).encode()).hexdigest(),
        serial=info.serial,
        ram_bytes=info.ram_bytes,
        identity=info.identity,
        name=info.name,
        **{name: facts[name] for name in COMPARABLE_FACTS},
    )


def roofline_row(device: Device, measured: Roofline, created_unix_ns: int) -> DeviceRoofline:
    """What was measured of a device, as a row."""
    names = RooflinePoint.model_fields
    return DeviceRoofline(
        device_key=device.key,
        created_unix_ns=created_unix_ns,
        runner_version=measured.runner_version,
        kernels=measured.kernels,
        buffer_bytes=measured.buffer_bytes,
        passes=measured.passes,
        points={name: [getattr(point, name) for point in measured.points] for name in names},
    )


def artifact_row(manifest: Manifest) -> Artifact:
    """The artifact's row."""
    linear = manifest.quantization.linear
    return Artifact(
        sha256=manifest.sha256,
        name=manifest.name,
        model=manifest.source.id,
        revision=manifest.source.revision,
        model_type=manifest.architecture.model_type,
        backend=manifest.backend.name,
        backend_version=manifest.backend.version,
        quantization=manifest.quantization.preset or quantization_label(linear),
        scheme=linear.scheme,
        group_size=linear.group_size,
        algorithm=linear.algorithm,
        preset=manifest.quantization.preset,
        context_length=manifest.context_length,
        size_bytes=manifest.size_bytes,
        unique_parameters=manifest.architecture.unique_parameters,
        stored_parameters=manifest.architecture.stored_parameters,
    )


def quantization_label(quantization: TensorQuantization) -> str:
    """A short label: ``fp16``, ``8w``, ``8da4w g32 hqq``; plain rounding and per-channel go unsaid."""
    parts = [quantization.scheme]
    if quantization.group_size:
        parts.append(f"g{quantization.group_size}")
    if quantization.group_size is not None and quantization.algorithm != "rtn":
        parts.append(quantization.algorithm)
    return " ".join(parts)


def _settings(asked: ProfileRequest) -> dict[str, Setting] | None:
    """Options that may move a figure, have no column of their own, and are not the default."""
    known = _PLAIN_OPTIONS | {"gate", "energy"}
    found: dict[str, Setting] = {}
    for one in type(asked).options():
        value = getattr(asked, one.name)
        if one.option.condition and one.name not in known and value != one.default:
            found[one.name] = value if isinstance(value, Setting) else json.dumps(value, default=str)
    return found or None


def _as_run(result: Result) -> dict[str, Any]:
    """What the runner says it did, which wins over what it was asked (threads 0 means: choose)."""
    start = result.start
    return {name: _frozen(value) for name, value in _shared(start, Run).items() if name != "load_ns"}


def _shared(record: Record, row: type, prefix: str = "") -> dict[str, Any]:
    """What a record says under the name of a row's field; ``prefix`` stands before those of some fields."""
    names = {field.name for field in fields(row)}
    return {
        column: getattr(record, name)
        for name in type(record).model_fields
        for column in (name, prefix + name)
        if column in names
    }


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _recorded(result: Result) -> Iterator[Measurement]:
    """Every field of the runner's records that the vocabulary of measurements knows."""
    for record in (result.start, result.memory, *([result.power] if result.power else [])):
        for quantity in quantities("run"):
            value = getattr(record, quantity.name, None)
            if value is not None:
                yield measurement(quantity.name, value)
    for repetition in result.repetitions:
        for quantity in quantities("repetition"):
            value = getattr(repetition, quantity.name, None)
            if value is not None:
                yield measurement(quantity.name, value, repetition.index)


def _figures(result: Result) -> dict[str, Any]:
    start, memory, measured = result.start, result.memory, result.measured
    prefill = [metrics.prefill_tokens_per_second(start.prompt_tokens, r.prefill_ns) for r in measured]
    decode = [rate for r in measured if (rate := metrics.decode_tokens_per_second(r.decode_ns)) is not None]
    ttft = metrics.median([metrics.ttft_ns(r.prefill_ns) for r in measured])
    return {
        "load_ns": start.load_ns,
        "prefill_tokens_per_second": metrics.median(prefill),
        "prefill_stdev": metrics.sample_stdev(prefill),
        "decode_tokens_per_second": metrics.median(decode),
        "decode_stdev": metrics.sample_stdev(decode),
        "ttft_ns": None if ttft is None else round(ttft),
        **_shared(memory, Run, "memory_"),
    }


def _gate(description: RunDescription, ending: Ending, moments: Sequence[Moment]) -> dict[str, Any]:
    """What was asked of the device, and what gate the repetitions really passed."""
    asked = description.options.gate
    limits = limits_for(asked, description.device.kind, lit=description.options.lights_screen)
    repetitions = ending.result.repetitions if ending.result else []
    unattended = any(repetition.gate == "unattended" for repetition in repetitions)
    return {
        "gate": "unattended" if unattended else asked.name,
        "gate_max_thermal_status": limits.max_thermal_status,
        "gate_max_celsius": limits.max_celsius,
        "gate_max_cpu_busy": limits.max_cpu_busy,
        "gate_min_battery_percent": limits.min_battery_percent,
        "gate_screen_off": True if limits.screen_on is False else None,
        "gate_unreadable": ",".join(unreadable(moments, limits)) or None,
    }


def _energy(description: RunDescription, ending: Ending, moments: Sequence[Moment]) -> Energy | None:
    asked = description.options.energy
    if asked is None or ending.result is None or ending.status != "ok":
        return None
    return energy_of(ending.result, moments, asked)


def _power_source(moments: Sequence[Moment]) -> str | None:
    sources = {moment.readings.power_source for moment in moments} - {None}
    return "changed" if len(sources) > 1 else next(iter(sources), None)


def _throttled_repetitions(result: Result, throttling: Mapping[int, Throttling]) -> int | None:
    """How many measured repetitions were throttled; None unless that is known of each."""
    shown = [throttling.get(repetition.index, Throttling()).shown for repetition in result.measured]
    return None if None in shown else sum(map(bool, shown))


def _repetitions(result: Result | None, throttling: Mapping[int, Throttling]) -> tuple[Repetition, ...]:
    if result is None:
        return ()
    return tuple(
        Repetition(
            **{name: _frozen(value) for name, value in _shared(r, Repetition).items()},
            throttled=throttling.get(r.index, Throttling()).shown,
            throttle_sign=throttling.get(r.index, Throttling()).words,
        )
        for r in result.repetitions
    )


def _conditions(moments: Sequence[Moment]) -> tuple[Condition, ...]:
    return tuple(
        Condition(moment=moment.moment, repetition=moment.repetition, **asdict(moment.readings))
        for moment in moments
    )
