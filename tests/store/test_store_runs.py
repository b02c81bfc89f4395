from __future__ import annotations

from typing import get_args

import pytest
import sqlalchemy as sa
from stored_runs import MANIFEST, RUN, stored_run

from toolkit.errors import RunNotFound, StoreError
from toolkit.store import Store, new_run_id, open_store
from toolkit.store.rows import STATUSES, Repetition, Status


def test_a_run_reads_back_as_it_was_written(store: Store) -> None:
    run = stored_run()
    assert store.add_run(run, MANIFEST)
    assert store.get_run(RUN.id) == run
    assert store.manifest(run.artifact.sha256) == MANIFEST


def test_a_run_is_stored_once(store: Store) -> None:
    assert store.add_run(stored_run(), MANIFEST)
    assert not store.add_run(stored_run(status="error"), MANIFEST)
    assert store.get_run(RUN.id).run.status == "ok"


def test_a_run_given_up_is_replaced_by_its_result(store: Store) -> None:
    assert store.add_run(stored_run(status="device_lost", error="gone"), MANIFEST)
    assert not store.add_run(stored_run(status="device_lost", error="gone again"), MANIFEST)
    assert store.add_run(stored_run(), MANIFEST)
    assert store.get_run(RUN.id) == stored_run()
    assert len(store.list_runs()) == 1


def test_a_run_that_cannot_be_written_whole_leaves_nothing(store: Store) -> None:
    whole = stored_run()
    twice = Repetition(index=0, warmup=False, started_unix_ns=0, prefill_ns=1, decode_ns=())
    broken = type(whole)(
        run=whole.run,
        device=whole.device,
        artifact=whole.artifact,
        repetitions=[twice, twice],
        conditions=whole.conditions,
    )
    with pytest.raises(StoreError, match="(?i)unique"):
        store.add_run(broken, MANIFEST)
    assert store.list_runs() == []
    with pytest.raises(StoreError, match="no such artifact"):
        store.manifest(whole.artifact.sha256)
    assert store.add_run(whole, MANIFEST)


def test_runs_are_listed_newest_first_and_filtered(store: Store) -> None:
    for number, (status, serial) in enumerate([("ok", "p1"), ("error", "p1"), ("ok", "p2")]):
        store.add_run(
            stored_run(id=f"run{number}", serial=serial, status=status, created_unix_ns=number), MANIFEST
        )

    def ids(**filters: object) -> list[str]:
        return [summary.run.id for summary in store.list_runs(**filters)]  # type: ignore[arg-type]

    assert ids() == ["run2", "run1", "run0"]
    assert ids(limit=1) == ["run2"]
    assert ids(where="status = 'ok'") == ["run2", "run0"]
    assert ids(where="serial = 'p1'") == ["run1", "run0"]
    assert ids(where="model contains 'SMOLLM2'") == ["run2", "run1", "run0"]
    assert ids(where="model contains '%'") == []


def test_a_unique_prefix_finds_a_run(store: Store) -> None:
    for run_id in ("abc1", "abd2"):
        store.add_run(stored_run(id=run_id), MANIFEST)
    assert store.find_run_id("abc") == "abc1"
    assert store.find_run_id("ABD") == "abd2"
    with pytest.raises(RunNotFound, match="matches several runs: abc1, abd2"):
        store.find_run_id("ab")
    with pytest.raises(RunNotFound, match="no such run"):
        store.find_run_id("x")
    with pytest.raises(RunNotFound, match="no such run"):
        store.find_run_id("%")
    with pytest.raises(RunNotFound):
        store.find_run_id("")
    with pytest.raises(RunNotFound):
        store.get_run("abc")


def test_run_ids_are_sixteen_typeable_characters() -> None:
    ids = {new_run_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(
        len(run_id) == 16 and run_id.isalnum() and run_id.islower() | run_id.isdigit() for run_id in ids
    )


def test_statuses_are_those_of_the_type() -> None:
    assert get_args(Status) == STATUSES


def test_one_transaction_per_run(sqlite_url: str) -> None:
    begun: list[str] = []
    with open_store(sqlite_url) as store:
        sa.event.listen(store.engine, "before_cursor_execute", lambda *args: begun.append(args[2]))
        store.add_run(stored_run(), MANIFEST)
    assert [statement for statement in begun if statement.startswith("BEGIN")] == ["BEGIN IMMEDIATE"]
