from __future__ import annotations

import csv
import html
import io
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from stored_runs import MANIFEST, RUN, stored_run

from toolkit.errors import RunNotFound, UsageError
from toolkit.store import Store
from toolkit.store.export import FORMATS, export
from toolkit.store.row_columns import column_names
from toolkit.store.rows import Run
from toolkit.store.table import HEADERS, cells
from toolkit.store.tags import tag_runs

FAILED = stored_run(id="failed", status="oom_killed", error="killed", prefill_tokens_per_second=None)

LLAMA_BENCH_FIELDS = (
    "build_commit build_number cpu_info gpu_info backends model_filename model_type model_size "
    "model_n_params n_batch n_ubatch n_threads cpu_mask cpu_strict poll type_k type_v n_gpu_layers "
    "split_mode main_gpu no_kv_offload flash_attn tensor_split use_mmap embeddings n_prompt n_gen "
    "n_depth test_time avg_ns stddev_ns avg_ts stddev_ts samples_ns samples_ts"
).split()


@pytest.fixture
def filled(store: Store) -> Store:
    store.add_run(stored_run(), MANIFEST)
    store.add_run(FAILED, MANIFEST)
    return store


def exported(store: Store, format_name: str) -> str:
    stream = io.BytesIO()
    export(store, [] if store.count_runs() == 0 else [RUN.id, "failed"], format_name, stream)
    return stream.getvalue().decode()


def test_json_keeps_every_decode_step_and_all_that_another_store_needs(filled: Store) -> None:
    tag_runs(filled, "v1", [RUN.id])
    ok, failed = json.loads(exported(filled, "json"))
    assert [len(repetition["decode_ns"]) for repetition in ok["repetitions"]] == [3, 3, 3]
    assert ok["device"]["emulated"] is True
    assert (ok["schema"], ok["tags"], ok["manifest"]) == ("slm-stored-run/2", ["v1"], MANIFEST)
    assert failed["repetitions"] == [] and failed["run"]["status"] == "oom_killed"


def test_jsonl_holds_one_run_per_line(filled: Store) -> None:
    lines = exported(filled, "jsonl").splitlines()
    assert [json.loads(line) for line in lines] == json.loads(exported(filled, "json"))


def test_csv_has_one_row_per_run_and_marks_emulated(filled: Store) -> None:
    ok, failed = csv.DictReader(io.StringIO(exported(filled, "csv")))
    assert ok["device_emulated"] == "True" and ok["affinity"] == "0,1"
    assert float(ok["prefill_tokens_per_second"]) == 512.0
    assert failed["prefill_tokens_per_second"] == ""


def test_markdown_is_a_table(filled: Store) -> None:
    lines = exported(filled, "md").splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {len(HEADERS) + 1}
    assert "(emulated)" in lines[2]


def test_parquet_has_a_row_per_repetition_and_one_for_a_run_without(filled: Store, tmp_path: Path) -> None:
    path = tmp_path / "runs.parquet"
    with path.open("wb") as stream:
        export(filled, [RUN.id, "failed"], "parquet", stream)
    table = pq.read_table(path)
    rows = table.to_pylist()
    assert [row["id"] for row in rows] == [RUN.id] * 3 + ["failed"]
    assert rows[1]["repetition_decode_ns"] == [10_000_000, 10_000_001, 10_000_002]
    assert rows[1]["repetition_decode_total_ns"] == 30_000_003
    assert rows[1]["affinity"] == [0, 1] and rows[1]["device_emulated"] is True
    assert rows[3]["repetition_index"] is None and rows[3]["artifact_scheme"] == "8da4w"
    assert len(set(table.column_names)) == len(table.column_names)
    assert not {"artifact_manifest", "repetition_run_id"} & set(table.column_names)
    assert set(column_names(Run)) <= set(table.column_names)


def test_pandas_and_duckdb_read_units_and_unknowns_as_they_are(filled: Store, tmp_path: Path) -> None:
    pandas, duckdb = pytest.importorskip("pandas"), pytest.importorskip("duckdb")
    path = tmp_path / "runs.parquet"
    with path.open("wb") as stream:
        export(filled, [RUN.id, "failed"], "parquet", stream)
    frame = pandas.read_parquet(path)
    failed = frame[frame.id == "failed"].iloc[0]
    unknown = ("prefill_tokens_per_second", "repetition_prefill_ns", "device_soc")
    assert all(pandas.isna(failed[name]) for name in unknown)
    timed = frame[frame.id == RUN.id]
    assert timed.load_ns.tolist() == [RUN.load_ns] * 3
    assert [list(steps) for steps in timed.repetition_decode_ns][1] == [10_000_000, 10_000_001, 10_000_002]
    columns = f"load_ns, peak_bytes, {', '.join(unknown)}"
    rows = duckdb.sql(f"SELECT DISTINCT id, {columns} FROM '{path}' WHERE id = 'failed'").fetchall()
    assert rows == [("failed", RUN.load_ns, RUN.peak_bytes, None, None, None)]


def test_html_is_the_csv_as_a_table_that_is_safe_to_open(store: Store) -> None:
    hostile = "<script>alert(1)</script> & more"
    store.add_run(stored_run(error=hostile, status="oom_killed", prefill_tokens_per_second=None), MANIFEST)
    page = io.BytesIO()
    export(store, [RUN.id], "html", page)
    text = page.getvalue().decode()
    assert "<script" not in text
    rows = [
        [html.unescape(cell) for cell in re.findall(r"<t[hd]>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", text)
    ]
    table = io.BytesIO()
    export(store, [RUN.id], "csv", table)
    assert rows == list(csv.reader(io.StringIO(table.getvalue().decode())))
    assert hostile in rows[1] and rows[1][rows[0].index("prefill_tokens_per_second")] == ""


def test_parquet_has_the_settings_of_other_tools_as_json(store: Store, tmp_path: Path) -> None:
    store.add_run(stored_run(id="imported", settings={"flash_attn": True, "n_ubatch": 512}), MANIFEST)
    path = tmp_path / "runs.parquet"
    with path.open("wb") as stream:
        export(store, ["imported"], "parquet", stream)
    assert pq.read_table(path)["settings"][0].as_py() == '{"flash_attn": true, "n_ubatch": 512}'


def test_llama_bench_has_exactly_its_fields(filled: Store) -> None:
    rows = json.loads(exported(filled, "llama-bench"))
    assert len(rows) == 2, "a failed run is no measurement"
    for row in rows:
        assert list(row) == LLAMA_BENCH_FIELDS
        assert row["cpu_info"].startswith("emulated: ")
        assert row["cpu_mask"] == "0x3"
        assert len(row["samples_ns"]) == len(row["samples_ts"]) == 2, "the warm-up does not count"
    prefill, decode = rows
    assert (prefill["n_prompt"], prefill["n_gen"], prefill["n_depth"]) == (512, 0, 0)
    assert (decode["n_prompt"], decode["n_gen"], decode["n_depth"]) == (0, 3, 512)
    assert decode["samples_ns"] == [30_000_003, 30_000_003]
    assert decode["avg_ts"] == pytest.approx(3 / 0.030000003)
    assert prefill["stddev_ns"] == 1


def test_an_unknown_format_names_the_known_ones(filled: Store) -> None:
    with pytest.raises(UsageError, match="Did you mean 'jsonl'"):
        exported(filled, "jsonll")


@pytest.mark.parametrize("name", ["csv", "json", "jsonl", "md", "llama-bench", "parquet", "html"])
def test_an_empty_store_exports(store: Store, name: str) -> None:
    stream = io.BytesIO()
    export(store, [], name, stream)
    assert name != "json" or json.loads(stream.getvalue()) == []
    assert set(FORMATS) == {"csv", "json", "jsonl", "md", "llama-bench", "parquet", "html"}


def test_a_run_that_does_not_exist_is_an_error(filled: Store) -> None:
    for name in ("csv", "jsonl"):
        with pytest.raises(RunNotFound, match="nobody"):
            export(filled, [RUN.id, "nobody"], name, io.BytesIO())


def test_many_runs_keep_their_order(store: Store) -> None:
    ids = [f"run{number}" for number in range(210)]
    for run_id in reversed(ids):
        store.add_run(stored_run(id=run_id), MANIFEST)
    stream = io.BytesIO()
    export(store, ids, "jsonl", stream)
    assert [json.loads(line)["run"]["id"] for line in stream.getvalue().splitlines()] == ids


def test_unknown_figures_are_a_dash() -> None:
    row = dict(zip(HEADERS, cells(FAILED), strict=True))
    assert row["prefill"] == "-" and row["status"] == "oom_killed"
