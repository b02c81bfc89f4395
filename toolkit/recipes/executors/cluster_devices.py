"""Devices as resources of a cluster's nodes: what a host offers, and what a running cluster has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from toolkit.devices.discovery import list_devices
from toolkit.devices.virtual.emulation import running_phones
from toolkit.recipes.planning import planned_name
from toolkit.recipes.targets import is_on_host, virtual_name
from toolkit.settings import Settings

_PREFIX = "slm-device:"
# What adb calls an emulator of Android's own.
_EMULATOR = "emulator-"


def device_resource(device: str) -> str:
    """The name of a device among a node's resources."""
    return f"{_PREFIX}{device}"


def node_resources(devices: Iterable[str]) -> dict[str, float]:
    """What `ray start --resources` must say on a host with these devices."""
    return {device_resource(device): 1.0 for device in devices}


def devices_here(settings: Settings) -> list[str]:
    """This host's usable devices by their names in plans; of virtual phones those that run.

    Raises:
        AdbServerFailed: there is an adb, but it cannot say which phones are attached.
    """
    virtual = running_phones(settings)
    own = {phone.serial for phone in virtual}
    found = [one for one in list_devices(settings) if one.state == "device" and one.serial not in own]
    numbered = [virtual_name(number) for number in range(1, len(virtual) + 1)]
    return list(dict.fromkeys([*(planned_name(one) for one in found), *numbered]))


def offered_devices(nodes: Iterable[Mapping[str, Any]]) -> list[str]:
    """The devices of all nodes, by their names in plans."""
    names = {name for node in nodes for name in node["Resources"] if name.startswith(_PREFIX)}
    return sorted(name.removeprefix(_PREFIX) for name in names)


def offered_phones(nodes: Iterable[Mapping[str, Any]]) -> list[str]:
    """Those of them that the word "phones" stands for."""
    return [one for one in offered_devices(nodes) if not is_on_host(one) and not one.startswith(_EMULATOR)]
