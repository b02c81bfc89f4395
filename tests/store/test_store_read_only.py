from __future__ import annotations

from pathlib import Path

import pytest
from stored_runs import MANIFEST, stored_run

from toolkit.errors import StoreError, UsageError
from toolkit.store import Store, open_store
from toolkit.store.read_only import ask

WRITES = [
    "DELETE FROM runs",
    "INSERT INTO tags VALUES ('0123456789abcdef', 'x')",
    "UPDATE runs SET status = 'error'",
    "DROP TABLE tags",
    "CREATE TABLE x (y INTEGER)",
    "CREATE TEMP TABLE x (y INTEGER)",
    "SELECT 1; DELETE FROM runs",
    "COMMIT; DELETE FROM runs",
    "ROLLBACK",
    "VACUUM",
]
SQLITE_WRITES = [
    "PRAGMA query_only = OFF",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA user_version = 7",
    "ATTACH '{folder}/other.db' AS other",
    "VACUUM INTO '{folder}/other.db'",
    "SELECT load_extension('x')",
]
POSTGRES_WRITES = [
    "WITH gone AS (DELETE FROM runs RETURNING id) SELECT * FROM gone",
    "SET TRANSACTION READ WRITE",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "COPY runs TO PROGRAM 'true'",
    "SELECT id FROM runs FOR UPDATE",
    "SELECT 1; COMMIT",
    "SELECT nextval('conditions_id_seq')",
]


@pytest.fixture
def filled(store: Store) -> Store:
    for number in range(5):
        store.add_run(stored_run(id=f"run{number}", created_unix_ns=number), MANIFEST)
    return store


def untouched(store: Store) -> bool:
    return [summary.run.status for summary in store.list_runs()] == ["ok"] * 5


def test_a_question_is_answered(filled: Store) -> None:
    answer = ask(filled, "SELECT id, status FROM runs WHERE id LIKE 'run%' ORDER BY id")
    assert answer.columns == ("id", "status")
    assert answer.rows[0] == ("run0", "ok") and len(answer.rows) == 5 and not answer.cut
    assert ask(filled, "WITH one AS (SELECT 1 AS x) SELECT x FROM one").rows == [(1,)]


def test_an_answer_is_cut_at_the_limit(filled: Store) -> None:
    answer = ask(filled, "SELECT id FROM runs ORDER BY id", limit=2)
    assert answer.rows == [("run0",), ("run1",)] and answer.cut
    assert not ask(filled, "SELECT id FROM runs", limit=5).cut


@pytest.mark.parametrize("statement", WRITES)
def test_nothing_is_written(filled: Store, statement: str) -> None:
    with pytest.raises(UsageError):
        ask(filled, statement)
    assert untouched(filled) and not filled.engine.dialect.has_table(filled.engine.connect(), "x")


@pytest.mark.parametrize("statement", SQLITE_WRITES)
def test_sqlite_writes_nothing_and_nowhere_else(sqlite_url: str, tmp_path: Path, statement: str) -> None:
    with open_store(sqlite_url) as store:
        with pytest.raises(UsageError, match=r"refused|no rows"):
            ask(store, statement.format(folder=tmp_path))
    assert not (tmp_path / "other.db").exists()


@pytest.mark.parametrize("statement", POSTGRES_WRITES)
def test_postgresql_writes_nothing(postgres_url: str, statement: str) -> None:
    with open_store(postgres_url) as store:
        for number in range(5):
            store.add_run(stored_run(id=f"run{number}"), MANIFEST)
        with pytest.raises(UsageError, match="refused"):
            ask(store, statement)
        assert untouched(store)


def test_wrong_sql_is_a_clear_error(filled: Store) -> None:
    for statement, said in (
        ("SELECT * FROM nowhere", "nowhere"),
        ("SELECT id FORM runs WHERE", "syntax error"),
    ):
        with pytest.raises(UsageError, match=f"the database refused.*{said}") as caught:
            ask(filled, statement)
        assert "reading" not in str(caught.value)
    with pytest.raises(UsageError, match=r"(?s)refused.*(reading is allowed|syntax error)"):
        ask(filled, "DELETE FROM runs")
    with pytest.raises(UsageError):
        ask(filled, "")


def test_a_store_in_memory_cannot_be_asked() -> None:
    with open_store("sqlite://") as store, pytest.raises(StoreError, match="in a file"):
        ask(store, "SELECT 1")
