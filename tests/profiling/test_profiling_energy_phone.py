"""Energy on a virtual phone whose battery drains faster while the runner works."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from runs import SMALL
from slm_process import SlmProcess
from tiny_artifact import make_artifact
from tiny_decoder import TinyDecoder
from typer.testing import CliRunner

from toolkit.artifact import Artifact
from toolkit.cli.main import app
from toolkit.devices.base import Device
from toolkit.devices.discovery import open_device
from toolkit.devices.local import LocalDevice
from toolkit.devices.virtual.conditions import set_conditions
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.errors import EnergyRefused
from toolkit.profiling.energy_options import EnergyOptions
from toolkit.profiling.gate_options import GateOptions
from toolkit.profiling.session.session import Session, profile
from toolkit.recipes.kinds.profile import ProfileWork
from toolkit.recipes.work.profile import run as profile_step
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings

ENERGY = SMALL.model_copy(
    update={
        # As long as many updates of the gauge, although the model is tiny.
        "prompt_tokens": 500,
        "generate_tokens": 500,
        "prefill_chunk": 1,
        "gate": GateOptions(),
        "energy": EnergyOptions(interval_ms=2, baseline_s=2),
    }
)
VOLTS, IDLE_MA, LOAD_MA = 4.0, 300, 1500


@pytest.fixture
def device(phone: VirtualPhone, settings: Settings) -> Iterator[Device]:
    set_conditions(phone, charging=False, voltage_uv=round(VOLTS * 1e6), current_ua=-310_000)
    yield open_device(phone.serial, settings)
    set_conditions(phone, charging=False, current_ua=-310_000)


@pytest.fixture(scope="module")
def long_artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The tiny model with room for long runs."""
    artifact = make_artifact(tmp_path_factory.mktemp("long") / "long", TinyDecoder(context_length=1024))
    manifest = artifact.manifest.model_copy(update={"context_length": 1024})
    (artifact.path / "manifest.json").write_text(manifest.model_dump_json(by_alias=True))
    return Artifact.load(artifact.path)


@contextmanager
def draining(phone: VirtualPhone, *, sign: int, per_ampere: int, every_s: float = 0.001) -> Iterator[None]:
    """Draws IDLE_MA, and LOAD_MA once the warm-up is over, as a gauge of this sign and unit shows it."""
    current = phone.root / "sys/class/power_supply/battery/current_now"
    runs = phone.root / "data/local/tmp/slm-toolkit/runs"
    done = threading.Event()

    def loaded() -> bool:
        # A run that ends renames its file.
        with suppress(FileNotFoundError):
            return any(b'"repetition"' in file.read_bytes() for file in runs.glob("*/result.jsonl.part"))
        return False

    def drain() -> None:
        tick = 0
        while not done.wait(every_s):
            tick += 1
            milliamperes = (LOAD_MA if loaded() else IDLE_MA) + tick % 3
            replacement = current.with_name(".current_now.test")
            replacement.write_text(f"{sign * milliamperes * per_ampere // 1000}\n")
            replacement.replace(current)

    thread = threading.Thread(target=drain)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize(("maker", "sign", "per_ampere"), [("Pixel", -1, 1_000_000), ("Xiaomi", 1, 1_000)])
def test_joules_of_a_phone_on_battery(
    phone: VirtualPhone,
    device: Device,
    long_artifact: Artifact,
    session: Session,
    maker: str,
    sign: int,
    per_ampere: int,
) -> None:
    with draining(phone, sign=sign, per_ampere=per_ampere):
        stored = profile(device, long_artifact, ENERGY, session)
    run, method = stored.run, stored.run.energy
    figures = {one.name: one.value for one in stored.measurements if one.repetition is None}
    assert method is not None
    assert method.current_unit == ("uA" if per_ampere == 1_000_000 else "mA")
    assert (method.discharge_sign, method.sign_from) == (sign, "unplugged")
    assert (method.charging, run.power_source) == (False, "battery")
    assert method.source == "/sys/class/power_supply/battery/current_now"
    assert (method.interval_ms, figures["battery_rise_celsius"]) == (2, 0)
    assert figures["baseline_watts"] == pytest.approx(VOLTS * IDLE_MA / 1000, rel=0.05)
    assert figures["net_watts"] == pytest.approx(VOLTS * (LOAD_MA - IDLE_MA) / 1000, rel=0.1)
    seconds = [(row.prefill_ns or 0) / 1e9 + sum(row.decode_ns) / 1e9 for row in stored.repetitions[1:]]
    joules = figures["net_watts"] * sum(seconds) / len(seconds)
    assert figures["joules_per_prompt"] == pytest.approx(joules, rel=0.3)
    assert session.store.get_run(run.id) == stored


def test_a_phone_that_charges_is_refused_with_the_reason_before_anything_is_pushed(
    phone: VirtualPhone, device: Device, slm: SlmProcess, artifact: Artifact
) -> None:
    set_conditions(phone, charging=True, plug="usb")
    few = ("--prompt-tokens", "16", "--generate-tokens", "4")
    process = slm("profile", artifact.path, "-d", phone.serial, *few, "--energy")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 8
    assert "external power is attached" in err and "adb tcpip" in err and "--allow-charging" in err
    assert "push" not in err.split("error:")[0]


def test_a_battery_service_frozen_by_hand_does_not_pass_for_unplugged(
    phone: VirtualPhone, device: Device, long_artifact: Artifact, session: Session
) -> None:
    phone.set_service(
        "battery",
        "Current Battery Service state:\n  (UPDATES STOPPED -- use 'reset' to restart)\n"
        "  AC powered: false\n  USB powered: false\n  level: 80\n  scale: 100\n",
    )
    with pytest.raises(EnergyRefused, match="cannot be read"):
        profile(device, long_artifact, ENERGY, session)


def test_a_phone_without_counters_is_refused(
    phone: VirtualPhone, device: Device, long_artifact: Artifact, session: Session
) -> None:
    set_conditions(phone, current_ua=None)
    with pytest.raises(EnergyRefused, match="current_now"):
        profile(device, long_artifact, ENERGY, session)


def test_charging_marks_the_run_when_it_is_allowed(
    phone: VirtualPhone, device: Device, long_artifact: Artifact, session: Session
) -> None:
    set_conditions(phone, charging=True, plug="usb")
    options = ENERGY.model_copy(
        update={"energy": EnergyOptions(interval_ms=2, baseline_s=1, allow_charging=True)}
    )
    with draining(phone, sign=1, per_ampere=1_000_000):
        run = profile(device, long_artifact, options, session).run
    method = run.energy
    assert method is not None
    assert (run.status, method.charging, run.power_source) == ("ok", True, "usb")
    assert method.sign_from == "load" and "only the battery's share" in (method.note or "")


@pytest.mark.parametrize("way", ["profile", "compare", "recipe"])
def test_a_run_that_is_shorter_than_an_update_of_the_gauge_says_that_it_has_no_joules(
    phone: VirtualPhone,
    device: Device,
    artifact: Artifact,
    other: Artifact,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    way: str,
) -> None:
    monkeypatch.setenv("SLM_DATA_DIR", str(session.settings.data_dir))
    monkeypatch.setenv("SLM_STORE_URL", session.settings.store_url)
    energy = EnergyOptions(interval_ms=2, baseline_s=1)
    work = ("--prompt-tokens", "16", "--generate-tokens", "4", "--warmup", "1", "--gate", "off", "--energy")
    work = (*work, "--energy-baseline", "1", "-d", phone.serial)
    with draining(phone, sign=-1, per_ampere=1_000_000, every_s=0.3):
        if way == "recipe":
            step = ProfileWork(
                artifact="key",
                device=phone.serial,
                request=SMALL.model_copy(update={"energy": energy}),
                timeout_s=None,
                alike=(),
                run_ids=("a" * 16,),
            )
            workspace = Workspace(session.settings.data_dir / "recipes")
            shutil.copytree(artifact.path, workspace.artifact("key"))
            profile_step(step, workspace, session.settings)
        else:
            both = [artifact.path, other.path][: 2 if way == "compare" else 1]
            rounds = ("--rounds", "2") if way == "compare" else ()
            done = CliRunner().invoke(app, [way, *map(str, both), *work, *rounds])
            assert done.exit_code == 0, done.exception
            capfd.readouterr()
            said_by_command = done.stderr
    said = capfd.readouterr().err if way == "recipe" else said_by_command
    sentence = ": no joules: "
    assert said.count(sentence) == (4 if way == "compare" else 1), said
    assert all("ask for more tokens" in line for line in said.splitlines() if sentence in line), said


@pytest.mark.skipif(
    any(Path("/sys/class/power_supply").glob("BAT*")), reason="this machine has a battery of its own"
)
def test_a_machine_without_a_battery_is_refused(
    local: LocalDevice, long_artifact: Artifact, session: Session
) -> None:
    with pytest.raises(EnergyRefused, match="no battery"):
        profile(local, long_artifact, ENERGY, session)


def test_allowing_to_charge_means_nothing_without_energy(slm: SlmProcess, artifact: Artifact) -> None:
    process = slm("profile", artifact.path, "--allow-charging")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and "--energy" in err
