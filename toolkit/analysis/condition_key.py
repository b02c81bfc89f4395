"""The condition key: everything that can move a figure, and that two runs must share to be compared.

Most parts are columns. Settings without a column (those of imported tools, newer options of a request) are
parts by their own names: a new one needs nothing here.

An axis is what a comparison asks about. It names the parts of the key that may differ for it: the first is
what is asked, the others follow from it (another backend has another artifact, runner and kernels). What
really differed is always shown.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from toolkit.errors import BadFilter
from toolkit.registry import Registry
from toolkit.store.rows import Setting
from toolkit.store.tables import artifacts, devices, runs


@dataclass(frozen=True)
class ConditionKey:
    """The conditions of a run. Fields are in the order in which differences are named.

    ``revision`` is the hub's commit; of a folder or file, whose name says little, a hash of its weights.
    """

    emulated: bool
    protocol: int
    model: str
    revision: str | None
    quantization: str
    algorithm: str
    backend: str
    backend_version: str
    engine: str
    engine_version: str
    runner_version: str | None
    kernels: str | None
    context_length: int
    prompt_tokens: int
    generate_tokens: int
    depth: int
    prefill_chunk: int
    warmup: int
    threads: int
    affinity: tuple[int, ...]
    device_serial: str
    device_model: str | None
    device_soc: str | None
    device_os_version: str | None
    device_build: str | None
    abi: str
    power_source: str | None
    gate: str | None
    gate_max_thermal_status: int | None
    gate_max_celsius: float | None
    gate_max_cpu_busy: float | None
    gate_min_battery_percent: int | None
    gate_screen_off: bool | None
    gate_unreadable: str | None
    settings: tuple[tuple[str, Setting], ...]
    # Hashes last: they say least. The device's covers what is not a part of its own, such as its cores.
    artifact_sha256: str
    bundle_sha256: str
    device_key: str

    def value(self, part: str) -> Any:
        """A part by its name, None where not known; a setting by its own, ``default`` where nobody chose."""
        return getattr(self, part) if part in PARTS else dict(self.settings).get(part, "default")


_COLUMNS: Mapping[str, sa.ColumnElement[Any]] = {
    "emulated": devices.c.emulated,
    "model": artifacts.c.model,
    "revision": sa.func.coalesce(artifacts.c.revision, artifacts.c.manifest[("source", "files")].as_string()),
    "quantization": artifacts.c.quantization,
    # A preset's name is the same whichever algorithm quantized.
    "algorithm": artifacts.c.algorithm,
    "backend": artifacts.c.backend,
    "backend_version": artifacts.c.backend_version,
    "device_serial": devices.c.serial,
    "device_model": devices.c.model,
    "device_soc": devices.c.soc,
    "device_os_version": devices.c.os_version,
    "device_build": devices.c.build,
}

PARTS: tuple[str, ...] = tuple(part.name for part in fields(ConditionKey))

KEY_COLUMNS: tuple[sa.ColumnElement[Any], ...] = (
    *((_COLUMNS[part] if part in _COLUMNS else runs.c[part]).label(f"key_{part}") for part in PARTS),
    # Chosen between in Python, so that a damaged value is named with the column that holds it.
    devices.c.identity.label("key_device_identity"),
)

_HASH = re.compile("[0-9a-f]{64}")

# No question makes these comparable: a virtual phone measures nothing, and another protocol measures
# something else.
NEVER = ("emulated", "protocol")

_DEVICE = (
    "device_serial",
    "device_model",
    "device_soc",
    "device_os_version",
    "device_build",
    "device_key",
    "abi",
    "bundle_sha256",
    "kernels",
)
_GATE = tuple(part for part in PARTS if part.startswith("gate"))
# What tells versions of toolkit, engine and artifact apart, of one model in one quantization.
VERSION_PARTS = (
    "runner_version",
    "engine_version",
    "backend_version",
    "kernels",
    "artifact_sha256",
    "bundle_sha256",
)

AXES: Registry[tuple[str, ...]] = Registry("axis", BadFilter)
for _name, _parts in {
    "backend": ("backend", "engine", *VERSION_PARTS, "prefill_chunk"),
    "quantization": ("quantization", "algorithm", "artifact_sha256", "kernels"),
    "model": ("model", "revision", "artifact_sha256"),
    "artifact": ("artifact_sha256",),
    "version": VERSION_PARTS,
    "device": _DEVICE,
    "context": ("context_length", "artifact_sha256"),
    "threads": ("threads", "affinity"),
    "power": ("power_source",),
    "processor": ("processor", "provider", *VERSION_PARTS),
    # An app brings its own runner and engine library; "runner" is a setting.
    "runner": ("runner", *VERSION_PARTS),
    "gate": _GATE,
}.items():
    AXES.register(_name, _parts)
for _part in PARTS:
    if _part not in AXES and _part not in NEVER:
        AXES.register(_part, (_part,))


@dataclass(frozen=True)
class Difference:
    """A part of the key in which two differ."""

    part: str
    left: Any
    right: Any

    def __str__(self) -> str:
        return f"{self.part}: {shown(self.left)} and {shown(self.right)}"


def read_key(values: Mapping[Any, Any]) -> ConditionKey:
    """The key from a row that was selected with ``KEY_COLUMNS``."""
    parts = {part: values[f"key_{part}"] for part in PARTS}
    # The hardware's, not the transport's, wherever it is known.
    if (identity := values["key_device_identity"]) is not None:
        parts["device_serial"] = identity
    parts["affinity"] = tuple(parts["affinity"])
    parts["settings"] = tuple(sorted((parts["settings"] or {}).items()))
    if parts["revision"] is not None and parts["revision"].startswith("["):
        parts["revision"] = _files_sha256(parts["revision"])
    return ConditionKey(**parts)


@lru_cache(maxsize=256)
def _files_sha256(files: str) -> str | None:
    """A hash over the files of a source, as its manifest lists them; None of none, as random weights have.

    A list of another form, in a manifest that something else wrote, is told apart by its text.
    """
    try:
        listed = "\n".join(sorted(one["sha256"] for one in json.loads(files)))
    except (ValueError, TypeError, KeyError, RecursionError):
        listed = files
    return hashlib.sha256(listed.encode()).hexdigest() if listed else None


def setting_names(keys: Iterable[ConditionKey]) -> list[str]:
    """The names of all settings that some keys have."""
    return sorted({name for key in keys for name, _ in key.settings})


def axis_parts(axes: Sequence[str], settings: Collection[str] = ()) -> tuple[str, ...]:
    """The parts that may differ for some axes; the asked ones first.

    Args:
        axes: each an entry of ``AXES``, or a setting.
        settings: the names of settings that there are.

    Raises:
        BadFilter: an unknown axis, or one along which nothing can be compared.
    """
    implied = [part for parts in _parts_of_each(axes, settings) for part in parts[1:]]
    return tuple(dict.fromkeys([*asked_parts(axes, settings), *implied]))


def asked_parts(axes: Sequence[str], settings: Collection[str] = ()) -> tuple[str, ...]:
    """Of the parts that may differ, those that are asked about; see :func:`axis_parts`."""
    return tuple(dict.fromkeys(parts[0] for parts in _parts_of_each(axes, settings)))


def _parts_of_each(axes: Sequence[str], settings: Collection[str]) -> list[tuple[str, ...]]:
    for axis in axes:
        if axis in NEVER:
            raise BadFilter(
                f"runs that differ in {axis!r} are never compared",
                subject=f"axis {axis!r}",
                next_step="Choose one side with --where.",
            )
    return [(axis,) if axis in settings and axis not in AXES else AXES.get(axis) for axis in axes]


def differences(left: ConditionKey, right: ConditionKey, allowed: Sequence[str] = ()) -> list[Difference]:
    """The parts in which two keys differ, without those that are allowed to."""
    return [
        Difference(part, left.value(part), right.value(part))
        for part in expanded(PARTS, (left, right))
        if part not in allowed and left.value(part) != right.value(part)
        if "settings" not in allowed or part in PARTS
    ]


def allowing(differences: Sequence[Difference]) -> tuple[str, ...]:
    """The axes that allow all of these differences together; none when one of them is never allowed."""
    parts = tuple(one.part for one in differences)
    return () if any(part in NEVER for part in parts) else parts


def without(key: ConditionKey, parts: Sequence[str]) -> tuple[Any, ...]:
    """What is left of a key, to sort runs into those that may be compared along an axis."""
    settings = tuple(one for one in key.settings if one[0] not in parts)
    return tuple(
        settings if part == "settings" else getattr(key, part) for part in PARTS if part not in parts
    )


def expanded(parts: Sequence[str], keys: Iterable[ConditionKey]) -> list[str]:
    """Parts with each setting by its own name in place of all of them together."""
    found: list[str] = []
    for part in parts:
        found += setting_names(keys) if part == "settings" else [part]
    return list(dict.fromkeys(found))


def shown(value: Any) -> str:
    """A part's value for people; hashes cut short."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "any"
    text = str(value)
    return text[:12] if _HASH.fullmatch(text) else text
