"""`slm devices clean` removes what the toolkit put on a device, and nothing else."""

from __future__ import annotations

import json

import pytest
from runs import SMALL_FLAGS, processes_naming
from slm_process import SlmProcess

from toolkit.artifact import Artifact
from toolkit.care.cleaning import clean, kept_on
from toolkit.devices.base import Device
from toolkit.devices.discovery import open_device
from toolkit.devices.local import LocalDevice
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.errors import DeviceBusy, DeviceUnreadable
from toolkit.profiling.session import launch
from toolkit.settings import Settings

ARTIFACT, BUNDLE, RUN = (
    "artifacts/0123456789abcdef",
    "bundles/x86_64-0123456789abcdef",
    "runs/0123456789abcdgh",
)


@pytest.fixture(params=["local", "adb"])
def device(request: pytest.FixtureRequest, settings: Settings) -> Device:
    if request.param == "local":
        return LocalDevice(settings)
    phone: VirtualPhone = request.getfixturevalue("phone")
    opened = open_device(phone.serial, settings)
    opened.workdir = f"{opened.workdir}-cleaning"
    request.addfinalizer(lambda: opened.shell(["rm", "-rf", opened.workdir], timeout_s=10))
    return opened


def put(device: Device, *paths: str, kilobytes: int = 64) -> None:
    script = 'for file; do mkdir -p "${file%/*}"; head -c $SIZE /dev/zero >"$file"; done'
    files = [f"{device.workdir}/{path}" for path in paths]
    device.shell(["sh", "-c", script.replace("$SIZE", str(kilobytes * 1024)), "sh", *files], timeout_s=20)


def everything(device: Device) -> list[str]:
    listing = device.shell(["find", device.workdir, "-type", "f"], timeout_s=20).stdout
    return sorted(line.removeprefix(f"{device.workdir}/") for line in listing.splitlines())


def test_artifacts_and_runners_go_and_so_does_the_empty_folder(device: Device) -> None:
    put(device, f"{ARTIFACT}/model.onnx", f"{BUNDLE}/lib/libc.so.6", f"{ARTIFACT}/.model.onnx.sha256-receipt")
    found = clean(device)
    assert [(kept.kind, kept.kept_because) for kept in found] == [("artifact", None), ("bundle", None)]
    assert all(64_000 <= kept.size_bytes < 300_000 for kept in found)
    # This machine's shell makes its folder again, empty.
    assert device.shell(["ls", "-A", device.workdir], timeout_s=10).stdout == ""
    assert clean(device) == []


def test_what_somebody_else_put_there_stays(device: Device) -> None:
    foreign = [
        "notes.txt", "artifacts/mine/model.bin", "artifacts/0123456789ABCDEF/x", "runs/my run; $(rm -rf /)/x",
        "bundles/loose-file",
    ]  # fmt: skip
    put(device, *foreign, f"{ARTIFACT}/model.onnx")
    clean(device, drop_runs=True)
    left = [path for path in everything(device) if path != ".lease.lock"]
    assert left == sorted(foreign)


def test_results_that_nobody_pulled_stay_unless_they_may_go(device: Device) -> None:
    put(device, f"{RUN}/result.jsonl")
    [kept] = clean(device)
    assert kept.kind == "run" and kept.kept_because == "its result has not been pulled"
    assert f"{RUN}/result.jsonl" in everything(device)
    [dropped] = clean(device, drop_runs=True)
    assert dropped.kept_because is None
    assert not any(path.startswith("runs/") for path in everything(device))


def test_a_run_whose_state_cannot_be_read_stays(device: Device) -> None:
    put(device, f"{RUN}/result.jsonl", f"{RUN}/exit")
    [kept] = clean(device)
    assert kept.kept_because == "what became of it cannot be read"
    assert f"{RUN}/result.jsonl" in everything(device)
    clean(device, drop_runs=True)


def test_a_folder_that_cannot_be_read_is_not_taken_for_empty(phone: VirtualPhone, settings: Settings) -> None:
    device = open_device(phone.serial, settings)
    device.workdir = f"{device.workdir}-file"
    device.shell(["touch", device.workdir], timeout_s=10)
    try:
        with pytest.raises(DeviceUnreadable):
            kept_on(device)
    finally:
        device.shell(["rm", device.workdir], timeout_s=10)


def test_a_run_that_goes_on_stays_until_runs_may_go(device: Device) -> None:
    run_id = RUN.partition("/")[2]
    put(device, f"{RUN}/stdout")
    script = f'sh -c "sleep 60; :" {run_id} >/dev/null 2>&1 & echo $! >"$1/pid"'
    device.shell(["sh", "-c", script, "sh", f"{device.workdir}/{RUN}"], timeout_s=10)
    try:
        [kept] = clean(device)
        assert kept.kept_because == "it is still running"
        assert launch.running_ids(device) == [run_id]
        [dropped] = clean(device, drop_runs=True)
        assert dropped.kept_because is None
        assert processes_naming(run_id) == []
    finally:
        device.shell(["sh", "-c", 'kill -9 $(cat "$1/pid")', "sh", f"{device.workdir}/{RUN}"], timeout_s=10)


def test_looking_changes_nothing_and_a_device_in_use_is_left_alone(device: Device) -> None:
    put(device, f"{ARTIFACT}/model.onnx")
    assert [kept.kind for kept in kept_on(device)] == ["artifact"]
    with device.lock(), pytest.raises(DeviceBusy):
        clean(device)
    assert f"{ARTIFACT}/model.onnx" in everything(device)


def test_the_space_it_takes_is_part_of_what_a_device_says(device: Device) -> None:
    before = device.info().used_bytes
    put(device, f"{ARTIFACT}/model.onnx", kilobytes=1000)
    after = device.info().used_bytes
    assert before is not None and after is not None
    assert 1_000_000 < after - before < 1_200_000


def test_a_cleaned_phone_can_be_profiled_again(
    slm: SlmProcess, phone: VirtualPhone, artifact: Artifact
) -> None:
    push = slm("push", artifact.path, "-d", phone.serial)
    push.communicate(timeout=120)
    look = slm("devices", "clean", "-d", phone.serial, "--dry-run", "--json")
    out, err = look.communicate(timeout=60)
    assert look.returncode == 0, err
    assert {row["kind"] for row in json.loads(out)} == {"artifact", "bundle"}
    cleaning = slm("devices", "clean", "-d", phone.serial)
    out, err = cleaning.communicate(timeout=60)
    assert cleaning.returncode == 0 and "freed" in out, err
    assert not (phone.root / "data/local/tmp/slm-toolkit").exists()
    profile = slm("profile", artifact.path, "-d", phone.serial, *SMALL_FLAGS)
    _, err = profile.communicate(timeout=120)
    assert profile.returncode == 0, err
