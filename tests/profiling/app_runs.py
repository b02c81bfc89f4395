"""Runs in the Android app on a virtual phone: what starts them, and what they leave."""

from __future__ import annotations

from pathlib import Path

from runs import SMALL_FLAGS
from slm_process import SlmProcess

from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.settings import Settings
from toolkit.store import open_store
from toolkit.store.rows import StoredRun

IN_APP = [*SMALL_FLAGS, "--runner", "app"]
# Its folder on the phone.
APP = "data/app/slm.toolkit.app"


def succeed(slm: SlmProcess, *words: object) -> str:
    out, err = (process := slm(*words)).communicate(timeout=240)
    assert process.returncode == 0, err
    return out


def stored(settings: Settings) -> list[StoredRun]:
    with open_store(settings.store_url) as store:
        return [store.get_run(summary.run.id) for summary in store.list_runs()]


def app_pids() -> list[int]:
    """Processes of runs in the app, as this host sees them."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if words and words[0].endswith(b"/jre/bin/java") and b"run" in words:
            found.append(int(entry.name))
    return found


def left_on(phone: VirtualPhone) -> list[str]:
    folders = [phone.root / "data/local/tmp/slm-toolkit/runs", phone.root / "data/data/slm.toolkit.app/runs"]
    return [one.name for folder in folders if folder.is_dir() for one in folder.iterdir()]
