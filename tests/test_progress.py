"""Progress displays."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from toolkit import progress


@pytest.mark.parametrize("columns", [60, 80, 160])
def test_a_long_name_takes_no_room_from_the_numbers(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = progress._terminal_display("steps")
    shown.live.console = Console(file=io.StringIO(), width=columns, force_terminal=True)
    shown.add_task(
        "push HuggingFaceTB/SmolLM2-135M-Instruct-onnxruntime-8da4w-g32-hqq/model.onnx.data " * 2, total=19
    )
    task = shown.tasks[0]
    shown.update(task.id, completed=3)
    with shown.live.console.capture() as captured:
        shown.live.console.print(shown.get_renderable())
    [line] = [line for line in captured.get().splitlines() if line.strip()]
    assert "3/19" in line and "\u2026" in line and "push Hugg" in line


def test_without_a_stderr_nothing_is_shown_and_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    progress.say("a warning")
    with progress.stage("a stage"), progress.shared_bars() as show, show("push", unit="steps") as report:
        report(1, 2)
    with progress.bar("push") as report:
        report(2, 2)
