"""The support table: it is about the configs that there are, and every config still does what it says."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from conversions_of_families import ENGINES
from matrix import measured, measured_twice, names

from toolkit.models.support import Support, engines_of, read_support, write_support
from toolkit.settings import Settings

ROWS = read_support()


def test_the_table_is_about_configs_that_there_are_and_holds_no_faults() -> None:
    assert ROWS
    assert {row.config for row in ROWS} <= set(names())
    assert [row for row in ROWS if row.outcome in ("wrong", "traceback")] == []
    assert all(row.reason for row in ROWS if row.outcome == "refused")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_full_cache_gave_the_same_bytes_as_an_empty_one(engine: str) -> None:
    rows = [row for row in ROWS if (row.engine, row.scheme, row.outcome) == (engine, "fp32", "converts")]
    twice = [row for row in rows if row.same_from_cache is not None]
    assert [row.config for row in twice if row.same_from_cache is not True] == []
    assert len(twice) > len(rows) // 2, "most were never made twice"


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [
        Support("b", "llama", "onnxruntime", "fp32", "converts", difference=1.5e-6),
        Support("a", "", "executorch", "8da4w", "refused", reason='a "reason", with commas'),
    ]
    write_support(rows, tmp_path / "table.csv")
    assert read_support(tmp_path / "table.csv") == rows[::-1]
    assert read_support(tmp_path / "none.csv") == []


def test_what_was_never_tried_is_not_known() -> None:
    assert engines_of("gemma2") == {"onnxruntime": True, "executorch": True}
    assert engines_of("no-such-type") == {}


def test_a_config_that_is_meant_to_be_refused_speaks_for_no_other() -> None:
    rows = [row for row in read_support() if row.model_type == "qwen2" and row.scheme == "fp32"]
    assert {"converts", "refused"} <= {row.outcome for row in rows}
    assert engines_of("qwen2") == {"onnxruntime": True, "executorch": True}


@pytest.fixture(scope="module")
def another_process() -> Iterator[Executor]:
    """Converts from what the first conversion cached; Python orders sets otherwise there."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield pool


@pytest.mark.soak
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.config}-{row.engine}-{row.scheme}")
# transformers, of a config that asks for experts without numbers.
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_each_config_does_what_the_table_says(
    row: Support, tmp_path: Path, settings: Settings, another_process: Executor
) -> None:
    if row.scheme == "fp32":
        found = measured_twice(row.config, row.engine, tmp_path, another_process)
        assert found.same_from_cache is True or found.outcome != "converts", found
    else:
        found = measured(row.config, row.engine, row.scheme, tmp_path, settings)
    assert found.outcome == row.outcome, found
