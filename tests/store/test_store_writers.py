from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa
from stored_runs import REPETITIONS

from toolkit.errors import StoreError, StoreLocked
from toolkit.store import open_store, tables

WRITER = """
import sys
from stored_runs import MANIFEST, stored_run
from toolkit.store import open_store

url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.stdin.readline()
with open_store(url, busy_timeout_s=60) as store:
    for number in range(count):
        assert store.add_run(stored_run(id=f"{name}-{number}", serial=f"phone-{number % 3}"), MANIFEST)
        # Everybody brings this one home; exactly one of them writes it.
        if store.add_run(stored_run(id=f"shared-{number}", serial=f"phone-{number % 3}"), MANIFEST):
            print(f"shared-{number}")
"""
WRITERS, RUNS = 4, 12


def test_several_processes_write_at_once_and_nothing_is_lost_or_doubled(store_url: str) -> None:
    arguments = [sys.executable, "-c", WRITER, store_url]
    writers = [
        subprocess.Popen(
            [*arguments, f"writer{number}", str(RUNS)],
            cwd=Path(__file__).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(WRITERS)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    ends = [(*writer.communicate(timeout=120), writer.returncode) for writer in writers]
    assert [end for *_, end in ends] == [0] * WRITERS, [errors for _, errors, _ in ends]
    written = sorted(line for output, _, _ in ends for line in output.split())
    assert written == sorted(f"shared-{number}" for number in range(RUNS))
    with open_store(store_url) as store:
        assert store.count_runs() == WRITERS * RUNS + RUNS
        with store.reading() as connection:
            for table, rows in (
                (tables.devices, 3),
                (tables.artifacts, 1),
                (tables.repetitions, (WRITERS * RUNS + RUNS) * len(REPETITIONS)),
            ):
                assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == rows


def test_a_lock_held_on_a_server_is_waited_for_in_bounded_time(postgres_url: str) -> None:
    with open_store(postgres_url) as holder, open_store(postgres_url, busy_timeout_s=0.2) as store:
        with holder.writing() as connection:
            connection.execute(sa.text("LOCK TABLE runs IN ACCESS EXCLUSIVE MODE"))
            try:
                store.list_runs()
            except StoreLocked as error:
                assert "***" in str(error) and "pg_stat_activity" in str(error)
            else:
                raise AssertionError("read a locked table")
        assert store.list_runs() == []


def test_a_server_that_does_not_answer_is_a_clear_error_without_the_password() -> None:
    try:
        open_store("postgresql+psycopg://somebody:secret@127.0.0.1:1/results", busy_timeout_s=1)
    except StoreError as error:
        assert "127.0.0.1:1" in str(error) and "secret" not in str(error)
    else:
        raise AssertionError("opened a store where nobody listens")
