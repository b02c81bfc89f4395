"""Stores that somebody edited by hand: what no column can hold is named with its place."""

from __future__ import annotations

import io
import random
import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from measured_runs import add_measured
from stored_evaluations import EVALUATION, SCORE

from toolkit.cli.main import main
from toolkit.errors import StoreError
from toolkit.store import open_store, tables
from toolkit.store.evaluations import add_evaluation
from toolkit.store.row_columns import HINT
from toolkit.store.rows import ScoredItem, StoredEvaluation
from toolkit.store.tags import tag_runs

VALUES: tuple[Any, ...] = (
    "abc", "", "[", '{"a": [[]]}', '["x", 1]', b"\x00\xff", 1.5, -1, 2**63 - 1, float("inf"), "9" * 40,
)  # fmt: skip
COMMANDS = (
    "list", "list --json", "list --where decode>5 --sort created", "show base0", "compare",
    "compare --axis threads", "regress --baseline v1", "export -o {}/runs.jsonl",
    "export --format csv -o {}/runs.csv", "tags", "scores", "scores --json", "undo-import",
)  # fmt: skip
PLACES = [
    (table, column) for table in tables.metadata.tables.values() for column in table.c if HINT in column.info
]
# Where a value is all that says what it belongs to, an edited one is another run, or none.
KEYS = {"id", "key", "sha256", "device_key", "artifact_sha256", "run_id", "index"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("edited") / "results.db"
    with open_store(f"sqlite:///{path}") as store:
        for number in range(2):
            add_measured(store, f"base{number}", created_unix_ns=number + 1)
            add_measured(store, f"new{number}", engine_version="2", created_unix_ns=number + 10, threads=4)
        tag_runs(store, "v1", ["base0", "base1"])
        items = [ScoredItem(SCORE.task, 0, "k", {"acc": 1.0})]
        add_evaluation(store, StoredEvaluation(EVALUATION, (SCORE,)), items)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO imports VALUES ('new0', 'i', 'file', 5)")
        connection.execute(
            "INSERT INTO measurements (run_id, name, value, unit) VALUES ('base0', 'net_watts', 1, 'W')"
        )
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def slm(command: list[str]) -> tuple[int, str]:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["slm", "results", *command])
        with pytest.raises(SystemExit) as ended:
            main()
    for stream in (out, err):
        stream.flush()
        stream.seek(0)
    return int(ended.value.code or 0), out.read() + err.read()


def edited(whole: Path, folder: Path, table: str, column: str, value: Any) -> Path:
    path = folder / "results.db"
    for old in folder.glob("results.db*"):
        old.unlink()
    shutil.copy(whole, path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            f'UPDATE {table} SET "{column}" = ? WHERE rowid = (SELECT min(rowid) FROM {table})', (value,)
        )
        connection.commit()
    return path


def edits(count: int | None) -> Iterator[tuple[str, str, Any]]:
    every = [
        (table.name, column.name, value)
        for table, column in PLACES
        if column.name not in KEYS
        for value in VALUES
    ]
    return iter(every if count is None else random.Random(7).sample(every, count))


def check(whole: Path, folder: Path, count: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = 0
    for table, column, value in edits(count):
        path = edited(whole, folder, table, column, value)
        monkeypatch.setenv("SLM_STORE_URL", f"sqlite:///{path}")
        said = []
        for command in COMMANDS:
            code, text = slm(command.format(folder).split())
            assert code in (0, 2, 10, StoreError.exit_code) and "Traceback" not in text, (
                table,
                column,
                value,
                text,
            )
            if code == StoreError.exit_code and "is damaged" in text:
                assert f"{table}.{column} holds" in text and "\n  next: " in text, (command, text)
                said.append(text)
        refused += bool(said)
        removal = re.search(r"slm results (delete \w+)", said[0]) if said else None
        if removal:
            assert slm(removal[1].split())[0] == 0
            assert slm(["list"])[0] == 0, (table, column, value)
    assert refused > (count or len(PLACES) * len(VALUES)) // 3, refused


def test_values_of_other_types_are_named_with_their_place(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(whole, tmp_path, 8, monkeypatch)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_every_column_is_named(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(whole, tmp_path, None, monkeypatch)


def test_a_text_that_is_no_utf8_is_damage(whole: Path, tmp_path: Path) -> None:
    path = edited(whole, tmp_path, "devices", "model", None)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE devices SET model = CAST(x'ff00fe' AS TEXT)")
        connection.commit()
    with open_store(f"sqlite:///{path}") as store, pytest.raises(StoreError, match="damaged"):
        store.list_runs()
