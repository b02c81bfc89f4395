from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
from stored_runs import stored_run

from toolkit.cli.results import run_table
from toolkit.store.rows import StoredRun


def listed(runs: list[StoredRun], capsys: pytest.CaptureFixture[str]) -> list[str]:
    run_table.print_runs(runs)
    return capsys.readouterr().out.splitlines()


def test_columns_stay_aligned_below_names_of_wide_characters(capsys: pytest.CaptureFixture[str]) -> None:
    run = stored_run(emulated=False)
    named = replace(run, device=replace(run.device, model="红米[1]"))
    lines = listed([named, stored_run()], capsys)
    before_decode = {cell_len(line[: line.index("100.0")]) for line in lines if "100.0" in line}
    assert len(before_decode) == 1 and "红米[1]" in "".join(lines)


def test_a_long_name_goes_on_below_in_its_own_column(capsys: pytest.CaptureFixture[str]) -> None:
    header, first, second, *_ = listed([stored_run(serial="a-rather-long-serial")], capsys)
    device = header.index("device")
    assert first[device:].startswith("a-rather-") and second[device:].startswith("long-serial")


def test_a_narrow_terminal_cuts_no_figure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_table, "new_console", lambda: Console(width=40))
    lines = listed([stored_run()], capsys)
    for figure in ("512", "100.0", "250", "32/32"):
        assert figure in lines[1]


def test_only_the_status_of_a_run_that_is_not_ok_is_red(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Console(force_terminal=True, color_system="standard", width=200)
    monkeypatch.setattr(run_table, "new_console", lambda: terminal)
    header, good, bad = listed([stored_run(), stored_run(status="timeout")], capsys)
    assert header.startswith("\x1b[1m")
    assert "\x1b" not in good
    assert bad.endswith("\x1b[31mtimeout\x1b[0m") and bad.count("\x1b") == 2
