from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from benchmarks.child import run_child
from benchmarks.errors import PeerFailed


def test_a_child_reports_time_and_peak_memory(tmp_path):
    code = "import sys; block = b'x' * 200_000_000; print(len(block)); print('done', file=sys.stderr)"
    usage = run_child([sys.executable, "-c", code], log=tmp_path / "a" / "log", timeout_s=60)
    assert usage.peak_rss_bytes > 200_000_000
    assert 0 < usage.seconds < 60
    # Which comes first is a matter of the child's buffers.
    assert sorted((tmp_path / "a" / "log").read_text().split()) == ["200000000", "done"]


def test_a_child_stays_in_this_process_group(tmp_path):
    log = tmp_path / "log"
    run_child([sys.executable, "-c", "import os; print(os.getpgrp(), os.getsid(0))"], log=log, timeout_s=60)
    assert log.read_text().split() == [str(os.getpgrp()), str(os.getsid(0))]


def test_a_failing_child_says_its_last_line(tmp_path):
    code = "import sys; print('first'); print('50%\\rno such model'); sys.exit(3)"
    with pytest.raises(PeerFailed, match="exited with 3: no such model"):
        run_child([sys.executable, "-c", code], log=tmp_path / "log", timeout_s=60)


def test_a_killed_child_names_the_signal(tmp_path):
    code = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"
    with pytest.raises(PeerFailed, match="killed by SIGILL: no output"):
        run_child([sys.executable, "-c", code], log=tmp_path / "log", timeout_s=60)


def test_a_missing_program_is_a_failed_peer(tmp_path):
    with pytest.raises(PeerFailed, match="cannot start: No such file"):
        run_child([tmp_path / "nothing"], log=tmp_path / "log", timeout_s=60)


def test_a_child_that_hangs_is_killed_with_its_descendants(tmp_path):
    # A shell, because it starts faster than an interpreter on a busy machine.
    script = f"sleep 600 & echo $! > {tmp_path / 'pid'}; wait"
    started = time.monotonic()
    with pytest.raises(PeerFailed, match="took longer than 3 s"):
        run_child(["/bin/sh", "-c", script], log=tmp_path / "log", timeout_s=3)
    assert time.monotonic() - started < 60
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 30
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    """Whether a process still runs; an orphan that nobody has reaped yet is a zombie and does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def test_variables_and_folder_reach_the_child(tmp_path):
    log = tmp_path / "log"
    code = "import os; print(os.environ['SLM_TEST'], os.getcwd())"
    command = [sys.executable, "-c", code]
    run_child(command, log=log, timeout_s=60, environment={"SLM_TEST": "here"}, cwd=tmp_path)
    assert log.read_text().split() == ["here", str(tmp_path)]
