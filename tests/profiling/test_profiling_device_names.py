"""`slm devices name`: given once, accepted and shown wherever a device is."""

from __future__ import annotations

import json

from runs import SMALL_FLAGS
from slm_process import SlmProcess

from toolkit.artifact import Artifact
from toolkit.devices.virtual.fleet import VirtualPhone


def run(slm: SlmProcess, *arguments: object) -> str:
    process = slm(*arguments)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def test_a_named_phone_is_measured_listed_and_found_by_its_name(
    phone: VirtualPhone, slm: SlmProcess, artifact: Artifact
) -> None:
    assert "pixel7" in run(slm, "devices", "name", phone.serial, "pixel7")
    listed = {one["serial"]: one for one in json.loads(run(slm, "devices", "list", "--json"))}
    its = ("pixel7", phone.spec().serialno)
    assert (listed[phone.serial]["name"], listed[phone.serial]["identity"]) == its
    run(slm, "profile", artifact.path, "--device", "pixel7", *SMALL_FLAGS)
    [stored] = json.loads(run(slm, "results", "list", "--device", "pixel7", "--json"))
    assert (stored["device_name"], stored["device_identity"]) == its
    assert f"pixel7 {phone.serial} (emulated)" in run(slm, "results", "list")
    assert f"pixel7 (emulated, {phone.spec().serialno} or" in run(slm, "results", "show", stored["id"])
    run(slm, "pull", "--device", "pixel7")
    run(slm, "devices", "clean", "--device", "pixel7", "--dry-run")
    run(slm, "devices", "name", "pixel7", "--remove")
    assert "pixel7" not in run(slm, "results", "list")
