"""The examples of docs/sharing.md, on runs that the store has exported."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from measured_runs import add_measured

from toolkit.store import Store
from toolkit.store.export import export

PAGE = (Path(__file__).parents[2] / "docs" / "sharing.md").read_text()


@pytest.fixture
def exported(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, threads in enumerate((1, 2, 2)):
        add_measured(store, f"run{number}", decode=50 * threads, spread=0.0, threads=threads)
    add_measured(store, "bad", status="throttled")
    with (tmp_path / "runs.parquet").open("wb") as stream:
        export(store, ["run0", "run1", "run2", "bad"], "parquet", stream)
    monkeypatch.chdir(tmp_path)


def example(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_pandas_example_gives_the_median_of_each_group(
    exported: None, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pandas")
    exec(compile(example("python"), "sharing.md", "exec"), {})
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert [(row[-4], float(row[-3]), row[-1]) for row in rows] == [("1", 50.0, "5"), ("2", 100.0, "10")]


def test_the_duckdb_example_does_so_too(exported: None) -> None:
    duckdb = pytest.importorskip("duckdb")
    rows = duckdb.sql(example("sql")).fetchall()
    assert [(row[2], round(row[3])) for row in rows] == [(2, 100), (1, 50)]
