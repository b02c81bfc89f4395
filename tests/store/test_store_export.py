from __future__ import annotations

import csv
import io
import json

import pytest
from stored_runs import stored_run

from toolkit.errors import UsageError
from toolkit.store.export import FORMATS, export
from toolkit.store.table import HEADERS, cells

RUNS = [
    stored_run(),
    stored_run(id="failed", status="oom_killed", error="killed", prefill_tokens_per_second=None),
]

LLAMA_BENCH_FIELDS = (
    "build_commit build_number cpu_info gpu_info backends model_filename model_type model_size "
    "model_n_params n_batch n_ubatch n_threads cpu_mask cpu_strict poll type_k type_v n_gpu_layers "
    "split_mode main_gpu no_kv_offload flash_attn tensor_split use_mmap embeddings n_prompt n_gen "
    "n_depth test_time avg_ns stddev_ns avg_ts stddev_ts samples_ns samples_ts"
).split()


def test_json_keeps_every_decode_step() -> None:
    ok, failed = json.loads(export(RUNS, "json"))
    assert [len(repetition["decode_ns"]) for repetition in ok["repetitions"]] == [3, 3, 3]
    assert ok["device"]["emulated"] is True
    assert failed["repetitions"] == [] and failed["run"]["status"] == "oom_killed"


def test_jsonl_holds_one_run_per_line() -> None:
    lines = export(RUNS, "jsonl").splitlines()
    assert [json.loads(line) for line in lines] == json.loads(export(RUNS, "json"))


def test_csv_has_one_row_per_run_and_marks_emulated() -> None:
    ok, failed = csv.DictReader(io.StringIO(export(RUNS, "csv")))
    assert ok["device_emulated"] == "True" and ok["affinity"] == "0,1"
    assert float(ok["prefill_tokens_per_second"]) == 512.0
    assert failed["prefill_tokens_per_second"] == ""


def test_markdown_is_a_table() -> None:
    lines = export(RUNS, "md").splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {len(HEADERS) + 1}
    assert "(emulated)" in lines[2]


def test_llama_bench_has_exactly_its_fields() -> None:
    rows = json.loads(export(RUNS, "llama-bench"))
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


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="Did you mean 'jsonl'"):
        export(RUNS, "jsonll")


@pytest.mark.parametrize("name", ["csv", "json", "jsonl", "md", "llama-bench"])
def test_an_empty_store_exports(name: str) -> None:
    assert name in FORMATS
    export([], name)


def test_unknown_figures_are_a_dash() -> None:
    row = dict(zip(HEADERS, cells(RUNS[1]), strict=True))
    assert row["prefill"] == "-" and row["status"] == "oom_killed"
