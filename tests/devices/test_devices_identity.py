"""A device is its hardware: under two names it is one, after a restart on another port it is the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_phones import OpenPhone, StartPhone

from toolkit.devices.adb.client import AdbClient
from toolkit.devices.base import Device
from toolkit.devices.discovery import has_own_number, identities, list_devices, open_device
from toolkit.devices.given_names import NamedDevice, find_name, give_name, name_of, named_devices, remove_name
from toolkit.devices.identity import Identity, believed, parse_identity, running_system, trusted_serial
from toolkit.devices.local import LocalDevice
from toolkit.devices.selection import chosen_serials
from toolkit.devices.virtual.emulation import bring_online
from toolkit.devices.virtual.fleet import VirtualPhone, start_phone
from toolkit.errors import DeviceBusy, DeviceNotFound, UsageError
from toolkit.profiling.run_rows import device_row
from toolkit.recipes.planning import phones_here
from toolkit.settings import Settings

BOOT = "5c1e3f0a-9a40-4c6c-8f13-0d2ab3c4d5e6"


@pytest.mark.parametrize(
    "serial", ["R5CT1234567", "2233fd19", "HT7A1AE0123", "0A041FDD4003KM", "10000000abcdef12"]
)
def test_serial_numbers_of_phones_and_boards_are_believed(serial: str) -> None:
    assert trusted_serial([f"{serial}\n"]) == serial


@pytest.mark.parametrize(
    "serial",
    [
        *(
            "",
            "unknown",
            "UNKNOWN",
            "0123456789ABCDEF",
            "1234567890",
            "12345678",
            "20080411",
            "19991231",
            "0000000000000000",
            "11111111",
        ),
        *("EMULATOR35X4X9X0", "default", "c4f12fdd949f22f", "C4F12FDD949F22F", "null", "a b c d e", "x\ny"),
    ],
)
def test_what_every_device_of_a_maker_has_is_no_identity(serial: str) -> None:
    assert trusted_serial([serial]) is None
    assert trusted_serial([serial, "R5CT1234567"]) == "R5CT1234567"


def test_a_running_system_is_its_boot_and_its_container() -> None:
    systems = {running_system(BOOT, f"pid:[{number}]") for number in (1, 2)} | {running_system(BOOT, "")}
    assert len(systems) == 3 and None not in systems
    assert running_system("", "pid:[1]") is running_system("no such file", "") is None


@given(st.text(st.sampled_from("@slm-section erianobtdp0123456789\n:[]"), max_size=200))
def test_no_answer_makes_it_fail(text: str) -> None:
    parse_identity(text)
    assert parse_identity("") == Identity()


@pytest.fixture
def second_name(start: StartPhone, adb_client: AdbClient) -> Iterator[tuple[VirtualPhone, str]]:
    """A phone that adb has under two names, as one on USB and over Wi-Fi."""
    phone = start("twice")
    other = phone.serial.replace("127.0.0.1", "localhost")
    adb_client.connect(other)
    yield phone, other
    adb_client.disconnect(other)


def test_a_phone_under_two_names_is_one_device(
    second_name: tuple[VirtualPhone, str], phone_settings: Settings
) -> None:
    phone, other = second_name
    first, second = (open_device(name, phone_settings) for name in (phone.serial, other))
    assert first.identity() == second.identity()
    assert first.identity().hardware == first.info().identity == phone.spec().serialno
    assert device_row(first.info()).key == device_row(second.info()).key
    with first.lock(), pytest.raises(DeviceBusy, match="Another run holds this device"), second.lock():
        pass
    with second.lock():
        pass
    assert chosen_serials([phone.serial, other], phone_settings) == [phone.serial]
    assert len(chosen_serials(["all"], phone_settings)) < len(list_devices(phone_settings)) - 1


def test_two_phones_are_two_devices(
    start: StartPhone, open_phone: OpenPhone, phone_settings: Settings
) -> None:
    phones = [start("one"), start("two")]
    opened: list[Device] = [open_phone(phone) for phone in phones]
    assert len({device.identity().hardware for device in opened}) == 2
    assert len({device.identity().system for device in [*opened, LocalDevice(phone_settings)]}) == 3
    with opened[0].lock(), opened[1].lock(), LocalDevice(phone_settings).lock():
        pass
    serials = [phone.serial for phone in phones]
    assert chosen_serials(serials, phone_settings) == serials


def test_two_phones_to_which_a_maker_gave_one_number_are_two_devices(
    start: StartPhone, phone_settings: Settings
) -> None:
    phones = [start("clone1", serialno="A1B2C3D4E5"), start("clone2", serialno="A1B2C3D4E5")]
    serials = [phone.serial for phone in phones]
    assert {identities(serials, phone_settings)[serial].hardware for serial in serials} == {None}
    assert chosen_serials(serials, phone_settings) == serials
    for serial in serials:
        assert not has_own_number(open_device(serial, phone_settings).info(), phone_settings)
    with pytest.raises(DeviceNotFound, match="several phones have this serial number") as caught:
        open_device("A1B2C3D4E5", phone_settings)
    assert all(serial in str(caught.value) for serial in serials)
    infos = [replace(one, emulated=False) for one in list_devices(phone_settings) if one.serial in serials]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toolkit.recipes.planning.list_devices", lambda _: infos)
        assert sorted(phones_here(phone_settings)) == sorted(serials)


def test_a_number_is_believed_unless_two_running_systems_claim_it() -> None:
    claims = {
        "A1B2C3": Identity("A1B2C3", "one"),
        "10.0.0.2:5555": Identity("A1B2C3", "two"),
        "usb": Identity("R5CT12", "three"),
        "wifi": Identity("R5CT12", "three"),
        "mute": Identity("R5CT12", None),
        "nameless": Identity(None, "four"),
    }
    told = {name: identity.hardware for name, identity in believed(claims).items()}
    assert told == {
        **dict.fromkeys(("usb", "wifi", "mute"), "R5CT12"),
        **{"A1B2C3": "A1B2C3", "10.0.0.2:5555": None, "nameless": None},
    }


def test_a_phone_that_comes_back_on_another_port_is_the_same_and_keeps_its_name(
    start: StartPhone, open_phone: OpenPhone, phone_settings: Settings, adb_client: AdbClient
) -> None:
    phone = start("moving")
    before = open_phone(phone).info()
    name = f"mover{os.getpid()}"
    give_name(NamedDevice(name=name, identity=str(before.identity), serial=phone.serial), phone_settings)
    assert open_device(name, phone_settings).serial == phone.serial
    phone.die()
    adb_client.disconnect(phone.serial)
    again = start_phone(replace(phone.spec(), port=0, serialno="ANOTHER1"), phone_settings)
    try:
        bring_online(again, adb_client)
        assert again.serial != phone.serial
        after = open_phone(again).info()
        assert (after.identity, device_row(after).key) == (before.identity, device_row(before).key)
        for known in (name, str(before.identity)):
            assert open_device(known, phone_settings).serial == again.serial
        [listed] = [one for one in list_devices(phone_settings) if one.serial == again.serial]
        assert listed.name == name
    finally:
        again.die()
        adb_client.disconnect(again.serial)
        remove_name(name, phone_settings)


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return Settings(cache_dir=tmp_path, data_dir=tmp_path / "data", store_url="sqlite://")


def named(name: str, identity: str = "R5CT1234567") -> NamedDevice:
    return NamedDevice(name=name, identity=identity, serial=f"{identity}-usb")


def test_names_are_given_changed_and_taken_away(home: Settings) -> None:
    assert named_devices(home) == [] and name_of("R5CT1234567", home) is None
    give_name(named("pixel7"), home)
    give_name(named("galaxy-s23", "R58"), home)
    give_name(named("pixel7a"), home)
    assert [one.name for one in named_devices(home)] == ["galaxy-s23", "pixel7a"]
    assert name_of("R5CT1234567", home) == "pixel7a" and find_name("pixel7", home) is None
    assert remove_name("pixel7a", home).identity == "R5CT1234567"
    with pytest.raises(UsageError, match="no device has the name") as caught:
        remove_name("pixel7a", home)
    assert "galaxy-s23" in str(caught.value)


def test_a_name_belongs_to_one_device(home: Settings) -> None:
    give_name(named("pixel7"), home)
    with pytest.raises(UsageError, match="name of R5CT1234567 already"):
        give_name(named("pixel7", "R58"), home)
    give_name(named("pixel7"), home)


@pytest.mark.parametrize(
    "name", ["", "local", "all", "phones", "virtual-1", "7pixel", "a b1", "x/../1", "ü1", "pixel"]
)
def test_what_means_something_else_is_no_name(home: Settings, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a device's name"):
        give_name(named(name), home)
    assert not (home.data_dir / "device-names.json").exists()


def test_a_damaged_file_of_names_is_an_error_that_names_it(home: Settings) -> None:
    home.data_dir.mkdir()
    (home.data_dir / "device-names.json").write_text("[{]")
    with pytest.raises(UsageError, match="device-names.json"):
        named_devices(home)


def test_a_name_of_a_phone_that_is_away_says_whose_it_is(phone_settings: Settings) -> None:
    give_name(named("away-1", "R5CTAWAY99"), phone_settings)
    try:
        with pytest.raises(DeviceNotFound, match="R5CTAWAY99, last R5CTAWAY99-usb"):
            open_device("away-1", phone_settings)
    finally:
        remove_name("away-1", phone_settings)
