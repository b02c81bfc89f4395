"""A store that the toolkit of 2026-11-29 filled opens and keeps its runs."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from toolkit.store import open_store

DUMP = Path(__file__).parent / "before" / "2026-11.sql"


def test_a_store_of_before_keeps_its_runs(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    with sqlite3.connect(path) as old:
        old.executescript(DUMP.read_text())
        names = (
            "id",
            "prefill_tokens_per_second",
            "decode_tokens_per_second",
            "peak_bytes",
            "greedy_matched",
        )
        expected = {row[0]: row[1:] for row in old.execute(f"SELECT {', '.join(names)} FROM runs")}
        steps = dict(old.execute("SELECT run_id, count(*) FROM repetitions GROUP BY run_id"))
    old.close()
    assert len(expected) == 2
    with open_store(f"sqlite:///{path}") as store:
        kept = {summary.run.id: summary for summary in store.list_runs()}
        assert {
            id: tuple(getattr(summary.run, name) for name in names[1:]) for id, summary in kept.items()
        } == expected
        assert {id: len(store.get_run(id).repetitions) for id in kept} == steps
        assert {summary.run.engine for summary in kept.values()} == {"onnxruntime", "executorch"}
