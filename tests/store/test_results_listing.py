from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.cells import cell_len
from stored_runs import stored_run

from toolkit.cli.results import run_table
from toolkit.store.rows import StoredRun


def listed(runs: list[StoredRun], capsys: pytest.CaptureFixture[str]) -> list[str]:
    run_table.print_runs(runs)
    return capsys.readouterr().out.splitlines()


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def test_columns_stay_aligned_below_names_of_wide_characters(capsys: pytest.CaptureFixture[str]) -> None:
    run = stored_run(emulated=False)
    named = replace(run, device=replace(run.device, model="红米[1]"))
    lines = listed([named, stored_run()], capsys)
    before_decode = {cell_len(line[: line.index("100.0")]) for line in lines if "100.0" in line}
    assert len(before_decode) == 1 and "红米[1]" in "".join(lines)


def test_a_name_goes_on_below_in_its_own_column_and_is_broken_at_spaces_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "85")
    header, first, second, *_ = listed([stored_run(serial="a-rather-long-serial")], capsys)
    device = header.index("device")
    assert first[device:].startswith("a-rather-long-serial ") and second[device:].startswith("(emulated)")


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 100])
def test_a_narrow_terminal_cuts_no_word_that_it_shows(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    run_table.print_runs([stored_run()])
    shown, said = capsys.readouterr()
    assert {"0123456", "SmolLM2-135M-Instruct", "100.0"} <= set(shown.split())
    assert "no room for" in said and "--wide" in said
    if columns >= 60:
        assert max(map(len, shown.splitlines())) <= columns


@pytest.mark.parametrize("status", ["ok", "token_mismatch"])
def test_eighty_columns_have_room_for_date_tags_alias_and_spread(
    status: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run = stored_run(emulated=False)
    run = replace(run, device=replace(run.device, name="left shelf 3"))
    runs = [run, replace(run, run=replace(run.run, id="f" * 16, status=status))]
    run_table.print_runs(runs, {run.run.id: ["main", "nightly"]})
    shown, said = capsys.readouterr()
    assert max(map(len, shown.splitlines())) <= 80
    started = datetime.fromtimestamp(run.run.created_unix_ns / 1e9, UTC)
    assert {f"{started:%y-%m-%d}", "main", "nightly", "left", "shelf"} <= set(shown.split())
    assert "±" in shown and "date" not in said and "tags" not in said


def test_a_long_tag_does_not_take_the_dates_room(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run = stored_run()
    run_table.print_runs([run], {run.run.id: ["pull-request-1234567"]})
    shown, said = capsys.readouterr()
    assert "date" in shown and "pull-request" not in shown and "tags" in said


def test_a_run_that_is_not_ok_says_so_on_every_line_length(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for columns in ("40", "80", "100", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        assert "timeout" in "".join(listed([stored_run(), stored_run(status="timeout")], capsys))


def test_only_the_status_of_a_run_that_is_not_ok_is_red(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    header, good, bad = listed([stored_run(), stored_run(status="timeout")], capsys)
    assert header.startswith("\x1b[1m")
    assert "\x1b" not in good
    assert bad.endswith("\x1b[31mtimeout\x1b[0m") and bad.count("\x1b") == 2
