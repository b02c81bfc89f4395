"""What is refused of a phone in a bad state: the refusal's advice is followed, and accepted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from place import walking_in
from private_adb import AdbServer
from test_walks_refusals import Refusal, does, fills, run, words
from virtual_phones import running_phone

from toolkit.devices.virtual.conditions import Conditions, set_conditions
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.settings import Settings

PROFILE = "profile artifact --prompt-tokens 8 --generate-tokens 4 -r 1 --warmup 0"
ENERGY = f"{PROFILE} --gate off --energy --energy-baseline 1"
GATED = f"{PROFILE} --max-cpu-busy 1"
WAITING = f"{GATED} --gate-limit 0"
UNGATED = f"{PROFILE} --gate off"


@pytest.fixture(scope="module")
def phone(adb_server: AdbServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualPhone]:
    """The phone that is meant when none is named, in a folder with an artifact."""
    with walking_in(tmp_path_factory.mktemp("phone")) as patch:
        settings = Settings.from_environment()
        with running_phone(adb_server.client, settings, PhoneSpec("walked", model="Walked")) as phone:
            # Other tests' phones may be attached as well.
            patch.setenv("SLM_DEVICE", phone.serial)
            yield phone


STATES: dict[str, tuple[dict[str, Any], Refusal]] = {
    "too hot": (
        {"zones": {"cpu-0-0": 70.0}},
        Refusal(WAITING, "70", does(f"{GATED} --max-celsius 80", when="--max-celsius")),
    ),
    "throttled": (
        {"thermal_status": 3},
        Refusal(WAITING, "thermal status", does(UNGATED, when="--gate off")),
    ),
    "nearly empty": (
        {"battery_percent": 5},
        Refusal(WAITING, "battery", does(f"{GATED} --min-battery 0", when="--min-battery")),
    ),
    "charged while energy is measured": (
        {"charging": True},
        Refusal(ENERGY, "charg", does(f"{ENERGY} --allow-charging", when="--allow-charging")),
    ),
    "without counters": (
        {"current_ua": None},
        Refusal(
            f"{UNGATED} --energy", "energy", does(UNGATED, when="leave energy out")
        ),
    ),
    "with too few CPUs": (
        {},
        Refusal(
            f"{UNGATED} --threads 4096",
            "--threads 4096",
            fills(r"--threads (\d+) or less", f"{UNGATED} --threads {{}}"),
        ),
    ),
    "without the CPU": (
        {},
        Refusal(
            f"{UNGATED} --threads 1 --affinity 4000",
            "CPU 4000",
            fills(r"On line: CPUs? (\d+)", f"{UNGATED} --threads 1 --affinity {{}}"),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_what_is_advised_about_a_phone_is_accepted(name: str, phone: VirtualPhone) -> None:
    conditions, refusal = STATES[name]
    healthy = Conditions().model_dump()
    set_conditions(phone, **conditions)
    try:
        code, said = run(words(refusal.asked))
        assert code not in (0, 1) and "Traceback" not in said, said
        assert refusal.subject in said and phone.serial in said, said
        assert "\n  next: " in said, said
        for advised in refusal.follow(said):
            code, answer = run(advised)
            assert code == 0, (advised, answer)
    finally:
        set_conditions(phone, **{key: healthy[key] for key in conditions})


# An adb that calls one phone by another state, while a file says which.
STATED = """#!/bin/sh
"{adb}" "$@" >"{folder}/said"
code=$?
state=$(cat "{folder}/state" 2>/dev/null)
case " $* " in
*" devices "*) sed "s/^{serial} *device .*/{serial} ${{state:-device}}/" "{folder}/said";;
*) cat "{folder}/said";;
esac
exit $code
"""


@pytest.mark.parametrize(
    ("state", "advised"),
    [
        ("unauthorized", "Allow USB debugging"),
        ("offline", "adb connect {serial}"),
        ("no permissions (user in plugdev group; are your udev rules wrong?)", "udev rules"),
        ("recovery", "adb -s {serial} reboot"),
        ("bootloader", "fastboot -s {serial} reboot"),
        ("host", "reconnect it"),
    ],
)
def test_a_phone_that_is_attached_and_cannot_be_used_says_so_until_it_can(
    state: str, advised: str, phone: VirtualPhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adb = tmp_path / "adb"
    adb.write_text(STATED.format(adb=os.environ["SLM_ADB"], folder=tmp_path, serial=phone.serial))
    adb.chmod(0o755)
    (tmp_path / "state").write_text(state)
    monkeypatch.setenv("SLM_ADB", str(adb))
    code, said = run(["devices", "list"])
    assert code == 0 and state.split(" (")[0] in said and phone.serial in said
    for refused in ("push artifact", f"{UNGATED} --threads 1", "doctor"):
        code, said = run(words(refused))
        assert code not in (0, 1) and "Traceback" not in said, said
        assert phone.serial in said and state.split(" (")[0] in said, said
        assert advised.format(serial=phone.serial) in said.partition("next: ")[2], said
    (tmp_path / "state").unlink()
    assert run(words("push artifact"))[0] == 0


def test_what_a_virtual_phone_does_not_have_is_refused(phone: VirtualPhone) -> None:
    code, said = run(["devices", "set", phone.serial, "battery=12"])
    assert code == 2 and "battery" in said and "battery_percent" in said.partition("\n  next: ")[2]
    assert run(["devices", "set", phone.serial, "battery_percent=80"])[0] == 0
