"""Progress displays."""

from __future__ import annotations

import io

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
