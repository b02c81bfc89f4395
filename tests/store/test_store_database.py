from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from stored_runs import MANIFEST, stored_run

from toolkit.errors import StoreError, StoreLocked
from toolkit.store import open_store
from toolkit.store.database import transaction
from toolkit.store.tables import metadata
from toolkit.store.tags import tags_of

HOLD_WRITE_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


def test_migrations_make_exactly_the_tables_that_queries_use(new_url: str) -> None:
    with open_store(new_url) as store, store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_sqlite_is_opened_with_wal(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store, store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_opening_again_keeps_the_runs(store_url: str) -> None:
    with open_store(store_url) as store:
        store.add_run(stored_run(), MANIFEST)
    with open_store(store_url) as store:
        assert len(store.list_runs()) == 1


def test_a_store_of_a_newer_toolkit_is_refused(store_url: str) -> None:
    with open_store(store_url) as store, store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="written by a newer slm-toolkit"):
        open_store(store_url)


def test_a_database_of_another_program_is_refused_and_kept(new_url: str) -> None:
    engine = sa.create_engine(new_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE runs (x INTEGER)")
    with pytest.raises(StoreError, match="another program"):
        open_store(new_url)
    assert sa.inspect(engine).get_table_names() == ["runs"]
    engine.dispose()


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 100)
    with pytest.raises(StoreError, match="not a database"):
        open_store(f"sqlite:///{path}")
    assert path.read_text().startswith("not a database")


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "nosuchdialect:///x",
        "mysql+nosuchdriver://h/x",
        "mysql+no://me:secret@h/x",
        "x://a:secret@b:c",
    ],
)
def test_a_bad_url_is_a_clear_error_without_the_password(url: str) -> None:
    with pytest.raises(StoreError, match="SLM_STORE_URL") as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="SLM_DATA_DIR"):
        open_store(f"sqlite:///{tmp_path}/file/results.db")


def test_a_store_locked_by_another_process_gives_up_in_bounded_time(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    url = f"sqlite:///{path}"
    with open_store(url, busy_timeout_s=0.3) as store:
        with subprocess.Popen(
            [sys.executable, "-c", HOLD_WRITE_LOCK, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as holder:
            assert holder.stdout is not None and holder.stdin is not None
            assert holder.stdout.readline() == "locked\n"
            started = time.monotonic()
            with pytest.raises(StoreLocked, match="results.db"):
                store.add_run(stored_run(), MANIFEST)
            assert time.monotonic() - started < 5
            # Readers are not held up, nor is opening a store that needs no migration.
            with open_store(url, busy_timeout_s=0.3) as reader:
                assert reader.list_runs() == []
            holder.stdin.close()
        assert store.add_run(stored_run(), MANIFEST)


def test_several_processes_may_open_a_new_store_at_once(new_url: str) -> None:
    code = "import sys; from toolkit.store import open_store; open_store(sys.argv[1]).close()"
    openers = [subprocess.Popen([sys.executable, "-c", code, new_url]) for _ in range(3)]
    assert [opener.wait() for opener in openers] == [0, 0, 0]
    with open_store(new_url) as store:
        assert sa.inspect(store.engine).has_table("repetitions")


def _no_larger_file() -> None:
    """What a full quota does: write() fails, and not by ENOSPC."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))


def test_a_disk_that_refuses_writing_is_not_called_damage(sqlite_url: str) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_store(sqlite_url) as store:
        try:
            _no_larger_file()
            with pytest.raises(StoreError) as refused:
                store.add_run(stored_run(), MANIFEST)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert "disk I/O error" in str(refused.value) and "Make room" in str(refused.value)
        assert "damaged" not in str(refused.value) and "move it" not in str(refused.value)
        store.add_run(stored_run(), MANIFEST)
        assert len(store.list_runs()) == 1


def test_a_full_disk_is_said_to_be_full(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        with (
            pytest.raises(StoreError, match="(?s)disk is full.*Make room") as refused,
            transaction(store.engine, writes=True) as connection,
        ):
            connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite takes the present count
            connection.exec_driver_sql("CREATE TABLE filler AS SELECT zeroblob(1000000)")
        assert "damaged" not in str(refused.value)


@pytest.mark.parametrize("damage", ["cut", "table", "value"])
def test_a_damaged_file_is_said_to_be_damaged_and_what_then(sqlite_url: str, damage: str) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    with open_store(sqlite_url) as store:
        store.add_run(stored_run(), MANIFEST)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    else:
        statement = {"table": "DROP TABLE tags", "value": "UPDATE runs SET argv = 'none'"}[damage]
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(statement)
            connection.commit()
    with pytest.raises(StoreError, match="(?s)damaged.*move it away"), open_store(sqlite_url) as store:
        for summary in store.list_runs():
            tags_of(store, [summary.run.id])
    path.rename(path.with_suffix(".damaged"))
    with open_store(sqlite_url) as store:
        assert list(store.list_runs()) == []
