"""Runs of llama-bench that go out in its format and come back are the same, under the same conditions."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st
from llama_bench_files import OF_2023, OF_2024, OF_2026, imported
from test_store_import import LLAMA_BENCH

from toolkit.analysis.compared_figures import find_figure
from toolkit.analysis.condition_key import ConditionKey
from toolkit.analysis.groups import load_samples
from toolkit.store import Store, open_store
from toolkit.store.llama_bench import llama_bench_rows


def test_settings_are_exported_as_they_were_imported(store: Store, tmp_path: Path) -> None:
    imported(store, tmp_path / "bench.json", OF_2024)
    [summary] = store.list_runs()
    [row] = llama_bench_rows(next(iter(store.iterate_runs([summary.run.id]))))
    kept = ("flash_attn", "n_gpu_layers", "type_k", "type_v", "use_mmap", "split_mode", "n_batch")
    assert {name: row[name] for name in kept} == {name: OF_2024[name] for name in kept}


def keys_of(store: Store) -> list[ConditionKey]:
    figures = ("decode", "prefill", "combined_tokens_per_second")
    runs = [run for figure in figures for run in load_samples(store, find_figure(figure))]
    return sorted((run.key for run in runs), key=repr)


ROWS = st.builds(
    lambda row, tokens, changes, gone: {
        # Averages of other tokens would contradict the samples.
        **{
            name: value
            for name, value in row.items()
            if name not in {*gone, "avg_ns", "avg_ts", "samples_ts"}
        },
        **tokens,
        **changes,
    },
    st.sampled_from([OF_2023, OF_2024, LLAMA_BENCH, OF_2026]),
    st.sampled_from(
        [
            {"n_prompt": 512, "n_gen": 0},
            {"n_prompt": 0, "n_gen": 128, "n_depth": 64},
            {"n_prompt": 32, "n_gen": 8},
            {"n_prompt": 512, "n_gen": 16, "test": "tg16@pp512"},
        ]
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "build_commit": st.sampled_from(["dddd005", "eeee006", "1abc"]),
            "backends": st.sampled_from(["CPU", "CUDA,Vulkan", "OpenCL", ""]),
            "cpu_info": st.sampled_from(["", "Snapdragon", "emulated: Pixel", "CPU"]),
            "gpu_info": st.sampled_from(["", "Adreno 740"]),
            "model_type": st.sampled_from(["llama 1B Q4_0", "LLaMA 7B mostly Q4_0", "x 1B", ""]),
            "cpu_mask": st.sampled_from(["0x0", "0xf0", "0x5"]),
            "n_ubatch": st.integers(0, 512),
            "n_batch": st.integers(0, 4096),
            "n_cpu_moe": st.integers(0, 4),
            "devices": st.sampled_from(["auto", "GPUOpenCL"]),
            "load_mode": st.sampled_from(["mmap", "none", "dio", "mlock"]),
            "tensor_buft_overrides": st.sampled_from(["none", ["a", "b"], {"exps": "CPU"}]),
            "no_host": st.sampled_from([True, False, 0, 1]),
            "flash_attn": st.sampled_from([True, False, 0, 1, -1, "auto", "on"]),
            "fit_target": st.sampled_from([None, 0, 1024, 0.5]),
            "a_setting_of_next_year": st.one_of(st.text("ab", max_size=3), st.floats(0, 1), st.booleans()),
        },
    ),
    st.sets(st.sampled_from(["n_batch", "use_mmap", "embeddings", "poll", "type_k", "split_mode"])),
)


@given(st.lists(ROWS, min_size=1, max_size=4), st.sampled_from([None, "pixel-8"]))
@tried(max_examples=25, deadline=None)
def test_a_round_trip_keeps_conditions_runs_and_devices(
    sqlite_template: Path, rows: list[dict[str, Any]], name: str | None
) -> None:
    rows = [{**row, "test_time": f"2026-01-0{day}T10:00:00Z"} for day, row in enumerate(rows, start=1)]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        tmp_path = Path(folder)
        copies = [shutil.copy(sqlite_template, tmp_path / f"{number}.db") for number in range(3)]
        first, second, third = (stack.enter_context(open_store(f"sqlite:///{copy}")) for copy in copies)
        imported(first, tmp_path / "first.json", *rows[:2], name=name)
        # Of another device, unless both are named.
        if rows[2:]:
            imported(first, tmp_path / "first.json", *rows[2:], name=name)
        for store, other in ((first, second), (second, third)):
            out = [row for run in store.iterate_runs(store.run_ids()) for row in llama_bench_rows(run)]
            again = imported(other, tmp_path / "again.json", *json.loads(json.dumps(out)))
            assert again.added == len(rows) and (name is None or not again.unnamed)
            assert keys_of(other) == keys_of(first)
            assert sorted(other.run_ids()) == sorted(first.run_ids())
            assert imported(store, tmp_path / "again.json", *out).added == 0, "they are there already"
