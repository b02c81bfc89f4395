"""Child processes end with their deadline, whatever they left behind."""

from __future__ import annotations

import os
import time

import pytest

from toolkit.devices.process import CannotStart, ProcessTimeout, run_process


def test_output_and_exit_code_come_back() -> None:
    finished = run_process(["sh", "-c", "printf out; printf err >&2; exit 3"], timeout_s=10)
    assert (finished.returncode, finished.stdout, finished.stderr) == (3, b"out", b"err")


def test_a_process_past_its_deadline_is_killed() -> None:
    pids: list[bytes] = []
    started = time.monotonic()
    with pytest.raises(ProcessTimeout):
        run_process(["sh", "-c", "echo $$; exec sleep 100"], timeout_s=0.5, on_stdout=pids.append)
    assert time.monotonic() - started < 5
    with pytest.raises(ProcessLookupError):
        os.kill(int(pids[0]), 0)


def test_a_process_that_closed_its_pipes_is_still_bound_by_the_deadline() -> None:
    with pytest.raises(ProcessTimeout):
        run_process(["sh", "-c", "exec >&- 2>&-; exec sleep 100"], timeout_s=0.5)


def test_a_background_child_that_holds_the_pipes_is_not_waited_for() -> None:
    started = time.monotonic()
    finished = run_process(["sh", "-c", "echo $!; sleep 5 & echo done"], timeout_s=30)
    assert finished.stdout.endswith(b"done\n")
    assert time.monotonic() - started < 4


def test_ticks_come_while_the_process_runs_and_their_error_kills_it() -> None:
    class Enough(Exception):
        pass

    ticks: list[float] = []

    def tick() -> None:
        ticks.append(time.monotonic())
        if len(ticks) == 3:
            raise Enough

    started = time.monotonic()
    with pytest.raises(Enough):
        run_process(["sleep", "100"], timeout_s=50, on_tick=tick, tick_s=0.2)
    assert 0.5 < time.monotonic() - started < 5


def test_a_missing_program_is_an_error_of_its_own_and_no_os_error_of_a_callback() -> None:
    with pytest.raises(CannotStart) as caught:
        run_process(["no-such-program"], timeout_s=1)
    assert isinstance(caught.value.reason, FileNotFoundError)
