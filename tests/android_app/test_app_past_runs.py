"""The app's list of runs: what was measured, under which conditions, how it ended, and what is compared."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from app_results import result_text
from contract import Core

from toolkit.app.source import app_source

# Linux gives no process a number above 2**22.
DEAD = 2**22 + 7
STARTED_NS = 1_790_000_000_123_456_789


def add_run(
    data: Path, letter: str, *, state: str = "activity", prompt: int = 8, model: str = "tiny"
) -> Path:
    """A whole run by hand, as the app leaves it."""
    folder = data / "runs" / (letter * 16)
    folder.mkdir(parents=True)
    result = result_text([10**9] * 3, [[10**8] * 4] * 3, prompt=prompt, run_id=folder.name)
    (folder / "result.jsonl").write_text(result)
    (folder / "manifest.json").write_text(json.dumps({"name": model}))
    samples = [
        {"moment": moment, "app_state": state, "battery_percent": percent, "thermal_status": status}
        for moment, percent, status in (("before", 80, None), ("repetition", 79, 1), ("after", 78, 2))
    ]
    lines = [json.dumps({**sample, "unix_ns": STARTED_NS + n}) for n, sample in enumerate(samples)]
    (folder / "app.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "exit").write_text("0 ok\n")
    return folder


def history(core: Core, data: Path) -> dict[str, dict[str, Any]]:
    done = core("history", data)
    assert done.returncode == 0, done.stderr.decode()
    return {one["id"][0]: one for one in json.loads(done.stdout)}


def test_a_run_says_what_was_measured_under_which_conditions(core: Core, tmp_path: Path) -> None:
    add_run(tmp_path, "a", model="SmolLM2 4-bit")
    torn = add_run(tmp_path, "b")
    (torn / "app.jsonl").write_text((torn / "app.jsonl").read_text()[:-40])
    unlike = add_run(tmp_path, "c")
    (unlike / "result.jsonl").write_text((unlike / "result.jsonl").read_text().rsplit("\n", 2)[0])
    (unlike / "manifest.json").unlink()
    (unlike / "app.jsonl").unlink()
    runs = history(core, tmp_path)
    assert runs["a"] == {
        **{"id": "a" * 16, "state": "0 ok", "model": "SmolLM2 4-bit", "started_ms": STARTED_NS // 10**6},
        **{"app_state": "activity", "threads": 2, "decode": 10.0, "problem": None},
        # What was not known at first is not filled in from later.
        **{"battery": [80, 78], "thermal": [None, 2]},
    }
    assert runs["b"]["battery"] == [80, 79] and runs["b"]["decode"] == 10.0
    names = ("model", "started_ms", "app_state", "threads", "decode")
    assert {name: runs["c"][name] for name in names} == dict.fromkeys(names)
    assert runs["c"]["battery"] == runs["c"]["thermal"] == [None, None]
    assert "cut short" in runs["c"]["problem"]


def test_a_run_whose_process_android_has_ended_says_how(core: Core, tmp_path: Path) -> None:
    for letter, begun in (("a", f"{DEAD}\n"), ("b", f"{DEAD + 1}\n"), ("c", None), ("d", "1\n")):
        folder = add_run(tmp_path, letter)
        (folder / "exit").unlink()
        if begun:
            (folder / "begun").write_text(begun)
    (tmp_path / "ends").mkdir()
    (tmp_path / "ends" / str(DEAD)).write_text("137\n")
    (tmp_path / "ends" / str(DEAD + 1)).write_text("13\n")
    runs = history(core, tmp_path)
    assert {letter: run["state"] for letter, run in runs.items()} == {
        **{"a": "137 signaled", "b": "13 exit_self"},
        # Prepared and never begun; and one whose process (the first of all) lives.
        **{"c": "13 not_started", "d": "running"},
    }
    # However whole the result looks that is there.
    assert {run["decode"] for run in runs.values()} == {None}
    assert (tmp_path / "runs" / ("a" * 16) / "exit").read_text().split() == ["137", "signaled"]


def test_a_baseline_of_another_app_state_or_other_work_is_not_compared(core: Core, tmp_path: Path) -> None:
    add_run(tmp_path, "a", model="one")
    slow = add_run(tmp_path, "b", model="other")
    result = result_text([10**9] * 3, [[2 * 10**8] * 4] * 3, prompt=8, run_id=slow.name)
    (slow / "result.jsonl").write_text(result)
    add_run(tmp_path, "c", state="service")
    add_run(tmp_path, "d", prompt=16)
    (add_run(tmp_path, "e") / "app.jsonl").unlink()
    (add_run(tmp_path, "f") / "exit").write_text("12 left_foreground\n")

    def compared(one: str, other: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(core("compare", tmp_path, one * 16, other * 16).stdout)
        return answer

    assert compared("a", "b") == {"ratio": 2.0, "difference": None}
    refused = {"c": "APP_STATE", "d": "WORK", "e": "APP_STATE", "f": "NO_FIGURES"}
    for other, difference in refused.items():
        assert compared("a", other) == {"ratio": None, "difference": difference}
    # Nobody knows whether two unknown states are the same.
    assert compared("e", "e")["difference"] == "APP_STATE"


def test_screens_ask_how_a_run_ended_and_have_words_for_it() -> None:
    source = app_source()
    screens = {
        file.name: file.read_text() for file in (source / "app" / "src" / "main" / "kotlin").rglob("*.kt")
    }
    # A run that Android has killed has no ending of its own in its folder: only the door knows.
    [(name, text)] = [(name, text) for name, text in screens.items() if ".ending" in text]
    assert name == "RunActivity.kt" and text.count(".ending") == 2
    core = source / "core" / "src" / "main" / "kotlin" / "slm" / "toolkit" / "core"
    reasons = set(re.findall(r'\d+ to "(\w+)"', (core / "Endings.kt").read_text()))
    known = set(re.findall(r'^    "(\w+)" to R\.string', screens["RunWords.kt"], re.MULTILINE))
    assert {"low_memory", "crash", "crash_native", "anr", "signaled", "user_requested"} <= reasons & known
    assert known - reasons == {
        *("ok", "runner", "left_foreground", "not_started", "unknown"),
        *re.findall(r'^    [A-Z_]+\("(\w+)"', (core / "HandGate.kt").read_text(), re.MULTILINE),
    }
