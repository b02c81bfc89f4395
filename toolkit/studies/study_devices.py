"""The devices of a study before it begins: whether they are enough, and whether they can be measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from toolkit.devices.discovery import list_devices, open_device
from toolkit.devices.local import LocalDevice
from toolkit.errors import StudyError
from toolkit.profiling.energy.counters import battery_of
from toolkit.recipes.planning import Phones, planned_name
from toolkit.recipes.targets import PHONES, virtual_count, virtual_name
from toolkit.settings import Settings
from toolkit.studies.study import Study


@dataclass(frozen=True)
class MeantDevice:
    """A device that is meant.

    Attributes:
        name: the same for one device, however it was named.
        word: by which it can be opened now; None where it cannot.
        emulated: a virtual phone.
        ram_bytes: None where it is not known here.
    """

    name: str
    word: str | None
    emulated: bool
    ram_bytes: int | None


def meant_devices(words: Iterable[str], settings: Settings, phones: Phones) -> list[MeantDevice]:
    """The devices that words stand for, each once.

    Args:
        words: of `--device`.
        settings: say where devices are.
        phones: asked what the word "phones" stands for.

    Raises:
        DeviceError: one that is named is not there.
    """
    found: dict[str, MeantDevice] = {}
    for word in words:
        for device in _meant(word, settings, phones):
            found.setdefault(device.name, device)
    return list(found.values())


def _meant(word: str, settings: Settings, phones: Phones) -> Iterable[MeantDevice]:
    if word == PHONES:
        # Other hosts' phones do not say here how much they have.
        here = {planned_name(one): one for one in list_devices(settings)}
        for name in phones(settings):
            info = here.get(name)
            yield MeantDevice(name, info.serial if info else None, False, info.ram_bytes if info else None)
    elif count := virtual_count(word):
        # Their processes are this machine's.
        ram = LocalDevice(settings).info().ram_bytes
        yield from (MeantDevice(virtual_name(number), None, True, ram) for number in range(1, count + 1))
    else:
        info = open_device(word, settings).info()
        yield MeantDevice(planned_name(info), word, info.emulated, info.ram_bytes)


def refuse_too_few(study: Study, devices: Sequence[MeantDevice]) -> None:
    """Refuse devices that say nothing: too few, or, where they are compared, real beside emulated ones.

    Raises:
        StudyError: with what to do.
    """
    real = sum(not one.emulated for one in devices)
    emulated = len(devices) - real
    wanted = study.fewest_devices
    if max(real, emulated) >= wanted:
        return
    if len(devices) >= wanted:
        raise StudyError(
            f"needs {wanted} devices of one kind, and has {real} real and {emulated} emulated: results of "
            "virtual phones are never beside real ones",
            subject=f"study {study.name}",
            next_step=f"Give {wanted} real ones with --device, or --device virtual:{wanted}; "
            "slm devices list shows those that are there.",
        )
    raise StudyError(
        f"needs {wanted} device{'s' if wanted > 1 else ''}, and has {len(devices)}",
        subject=f"study {study.name}",
        next_step="Give more with --device; slm devices list shows those that are there"
        + (f", and --device virtual:{wanted} shows how the study works." if wanted > 1 else "."),
    )


def refuse_without_battery(devices: Iterable[MeantDevice], settings: Settings) -> None:
    """Refuse devices whose joules cannot be had, before anything is converted.

    Virtual phones that may not run yet, and phones of other hosts, are asked when they are measured.

    Raises:
        EnergyRefused: a battery has no counters that can be read.
    """
    for one in devices:
        if one.word is not None:
            battery_of(open_device(one.word, settings))


def smallest_ram(devices: Sequence[MeantDevice]) -> int | None:
    """Memory of the smallest device; None where one of them does not tell."""
    sizes = [one.ram_bytes for one in devices]
    known = [size for size in sizes if size is not None]
    return min(known) if known and len(known) == len(sizes) else None
