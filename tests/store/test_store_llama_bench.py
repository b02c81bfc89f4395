"""llama-bench's files of all years: settings are kept by name, and devices are never merged."""

from __future__ import annotations

import codecs
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_bench_files import OF_2023, OF_2024, OF_2026, imported
from test_store_import import DECODE, LLAMA_BENCH

from toolkit.analysis.compare import compare
from toolkit.analysis.compared_figures import find_figure
from toolkit.analysis.groups import load_groups
from toolkit.errors import ImportInvalid, RunNotFound
from toolkit.store import Store, open_store
from toolkit.store.export import export
from toolkit.store.importing import Imported, import_file
from toolkit.store.llama_bench import llama_bench_rows
from toolkit.store.llama_bench_checks import contradiction
from toolkit.store.llama_bench_names import architecture_of, model_of, names_a_chip, quantization_of
from toolkit.store.removing import delete_runs, list_imports, undo_import


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bench.json"


@pytest.mark.parametrize(
    ("row", "settings", "chunk"),
    [
        (OF_2023, {"type_k": "f16", "type_v": "f16", "backends": "CPU", "n_batch": 512}, 512),
        (OF_2024, {"type_v": "q8_0", "flash_attn": True, "backends": "VULKAN", "use_mmap": True}, 512),
        (LLAMA_BENCH, {"flash_attn": False, "backends": "CPU", "cpu_strict": False, "poll": 50}, 512),
        (OF_2026, {"flash_attn": "auto", "use_mmap": True, "no_op_offload": False, "fit_target": 1024,
                   "tensor_buft_overrides": '["a", "b"]'}, 512),
    ],
    ids=["2023", "2024", "2025", "2026"],
)  # fmt: skip
def test_builds_of_all_years_are_read_and_keep_their_settings(
    store: Store, file: Path, row: dict[str, Any], settings: dict[str, Any], chunk: int
) -> None:
    assert imported(store, file, row).added == 1
    [found] = store.list_runs()
    assert found.run.settings is not None
    assert settings.items() <= found.run.settings.items()
    assert not {"cuda", "gpu_blas", "f16_kv", "samples_ns", "build_number"} & set(found.run.settings)
    assert found.run.prefill_chunk == chunk and found.artifact.scheme in ("Q4_0", "Q4_K - Medium")
    assert found.artifact.model_type == "llama"


@pytest.mark.parametrize(
    ("name", "value"),
    [("flash_attn", True), ("n_gpu_layers", 0), ("type_k", "q8_0"), ("n_batch", 64), ("backends", "Vulkan"),
     ("made_up_next_year", 3)],
)  # fmt: skip
def test_a_change_of_settings_is_never_one_of_the_version(
    store: Store, file: Path, name: str, value: Any
) -> None:
    steady = {**DECODE, "samples_ns": [1_000_000_000, 1_001_000_000]}
    old = [
        {**steady, "test_time": f"2026-11-0{day}T00:00:00Z", "samples_ns": [1_000_000_000 + day * 1_000_000]}
        for day in (1, 2)
    ]
    new = [{**one, "build_commit": "new"} for one in old]
    slow = [{**one, name: value, "samples_ns": [9_000_000_000]} for one in new]
    imported(store, file, *old, *new, *slow, name="phone")
    comparison = compare(store, find_figure("decode"), ["version"])
    [ranking] = comparison.rankings
    assert sorted(place.group.key.engine_version for place in ranking.places) == ["c6d1e1b", "new"]
    assert {place.change.verdict for place in ranking.places if place.change} == {"no difference"}
    [alone] = comparison.unranked
    assert [one.part for one in alone.differences] == [name]
    assert len(compare(store, find_figure("decode"), [name]).rankings) == 1


def test_files_that_name_no_device_are_devices_of_their_own(store: Store, file: Path) -> None:
    fast = imported(store, file, OF_2023, {**OF_2023, "n_prompt": 64})
    slow = imported(store, file, {**OF_2023, "samples_ns": [3_000_000_000]})
    assert fast.unnamed and slow.unnamed
    assert len({run.device.key for run in store.list_runs()}) == 2
    assert imported(store, file, OF_2023, {**OF_2023, "n_prompt": 64}) == Imported(0, 2)
    named = [imported(store, file, {**OF_2023, "n_depth": depth}, name="pixel") for depth in (1, 2)]
    assert not any(one.unnamed for one in named)
    assert len({run.device.key for run in store.list_runs()}) == 3


@pytest.mark.parametrize(
    ("cpu", "gpu"),
    [
        ("CPU", ""),
        ("CPU, BLAS", ""),
        ("ARMv8 Processor rev 1 (v8l)", ""),
        ("AArch64 Processor rev 13 (aarch64)", ""),
        ("CPU", "QUALCOMM Adreno(TM)"),
        ("unknown", ""),
        ("Qualcomm Technologies, Inc", ""),
        ("Qualcomm Technologies, Inc.", "QUALCOMM Adreno(TM)"),
        ("MediaTek Inc., CPU", ""),
        ("Samsung Electronics Co., Ltd.", "ARM Mali"),
    ],
)
def test_a_name_that_all_phones_have_is_none(sqlite_store: Store, file: Path, cpu: str, gpu: str) -> None:
    """What llama.cpp says of a CPU that tells no name, as those of phones."""
    named = {**OF_2024, "cpu_info": cpu, "gpu_info": gpu}
    assert imported(sqlite_store, file, named).unnamed
    assert imported(sqlite_store, file, {**named, "samples_ns": [3_000_000_000]}).unnamed
    assert len({run.device.key for run in sqlite_store.list_runs()}) == 2
    assert not imported(sqlite_store, file, {**named, "n_depth": 1, "cpu_info": "ARM Cortex-X4"}).unnamed
    assert not imported(sqlite_store, file, {**named, "n_depth": 2, "gpu_info": "Mali-G715"}).unnamed


@pytest.mark.parametrize("commit", ["unknown", "", "none"])
def test_builds_that_do_not_know_their_commit_are_versions_of_their_own(
    sqlite_store: Store, file: Path, commit: str
) -> None:
    row = {**OF_2024, "build_commit": commit, "n_prompt": 0, "n_gen": 64}
    first = imported(sqlite_store, file, row, {**row, "n_gen": 32}, name="phone")
    assert imported(sqlite_store, file, row, {**row, "n_gen": 32}, name="phone") == Imported(0, 2)
    slower = {**row, "samples_ns": [3_000_000_000]}
    second = imported(sqlite_store, file, slower, name="phone")
    assert first.unknown_build and second.unknown_build
    assert len({run.run.engine_version for run in sqlite_store.list_runs()}) == 2
    comparison = compare(sqlite_store, find_figure("decode"), ["version"], where="tg = 65")
    assert [len(ranking.places) for ranking in comparison.rankings] == [2], "not one of both"
    known = imported(sqlite_store, file, {**row, "build_commit": "b1234"}, name="phone")
    assert not known.unknown_build


def test_an_unknown_build_stays_what_it_is_through_our_export(sqlite_store: Store, file: Path) -> None:
    imported(sqlite_store, file, {**OF_2024, "build_commit": "unknown"}, name="phone")
    [run] = sqlite_store.list_runs()
    with file.open("wb") as stream:
        export(sqlite_store, [run.run.id], "llama-bench", stream)
    assert import_file(sqlite_store, file) == Imported(0, 1)
    with open_store("sqlite://") as other:
        import_file(other, file)
        assert [one.run for one in other.list_runs()] == [run.run]


def test_tokens_generated_after_a_prompt_are_at_its_depth(store: Store, file: Path) -> None:
    """The ik fork's -gp times the generation alone."""
    after = {**OF_2024, "n_gen": 128, "test": "tg128@pp512", "samples_ns": [6_400_000_000], "mla_attn": 0}
    imported(store, file, {**OF_2024, "test": "pp512"}, after, name="phone")
    [decode] = store.list_runs(where="decode is not null")
    assert (decode.run.prompt_tokens, decode.run.depth) == (0, 512)
    assert decode.run.decode_tokens_per_second == pytest.approx(20)
    assert decode.run.settings is not None and decode.run.settings["mla_attn"] == 0
    assert "test" not in decode.run.settings


def test_a_prompt_and_generation_timed_together_have_a_figure_of_their_own(store: Store, file: Path) -> None:
    both = {**OF_2024, "n_gen": 128, "samples_ns": [6_400_000_000, 3_200_000_000]}
    imported(store, file, both, {**both, "n_depth": 64, "test": "pp512+tg128"}, name="phone")
    first = next(one for one in store.list_runs() if one.run.depth == 0)
    assert first.measured("combined_tokens_per_second") == pytest.approx((100 + 200) / 2)
    alone = (first.run.prefill_tokens_per_second, first.run.decode_tokens_per_second, first.run.ttft_ns)
    assert alone == (None, None, None)
    [row] = llama_bench_rows(store.get_run(first.run.id))
    again = ("n_prompt", "n_gen", "n_depth", "samples_ns")
    assert {key: row[key] for key in again} == {key: {"n_depth": 0, **both}[key] for key in again}
    assert [group.median for group in load_groups(store, find_figure("combined_tokens_per_second"))]
    assert load_groups(store, find_figure("decode")) == []


LINKER = 'WARNING: linker: something unused in libx.so\n[INFO] {loading}\nregister_backend: "CPU"\n'


@pytest.mark.parametrize("after", ["", "\nllama_perf: done [ok]\n", f"\n{LINKER}"])
@pytest.mark.parametrize("before", ["", LINKER, "\n\n"])
@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-16-be with mark"]
)
def test_any_shell_may_have_written_it(
    sqlite_store: Store, file: Path, encoding: str, lines: bool, before: str, after: str
) -> None:
    rows = [LLAMA_BENCH, DECODE]
    text = "\r\n".join(map(json.dumps, rows)) if lines else json.dumps(rows, indent=2)
    mark = codecs.BOM_UTF16_BE if encoding.endswith("mark") else b""
    file.write_bytes(mark + (before + text + after).encode(encoding.partition(" ")[0]))
    assert import_file(sqlite_store, file) == Imported(added=2, known=0)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
@pytest.mark.parametrize("before", ["", LINKER])
def test_what_was_cut_imports_nothing(store: Store, file: Path, share: float, before: str) -> None:
    text = json.dumps([LLAMA_BENCH, DECODE], indent=2)
    file.write_text(before + text[: int(len(text) * share)])
    with pytest.raises(ImportInvalid, match="is not JSON"):
        import_file(store, file)
    assert store.list_runs() == []


@pytest.mark.parametrize(
    ("model_type", "file_name", "quantization"),
    [
        ("llama 1B Q4_K - Medium", "x.gguf", "Q4_K - Medium"),
        ("llama Q4_K - Medium", "x.gguf", "Q4_K - Medium"),
        ("LLaMA 7B mostly Q4_0", "x.gguf", "Q4_0"),
        ("qwen2 ?B Q8_0", "x.gguf", "Q8_0"),
        ("qwen3moe 30B.A3B IQ2_XXS - 2.0625 bpw", "x.gguf", "IQ2_XXS - 2.0625 bpw"),
        ("gemma3 270M all F32", "x.gguf", "F32"),
        ("gpt-oss 20B MXFP4 MoE", "x.gguf", "MXFP4 MoE"),
        ("llama 8x7B Q5_1 (guessed)", "x.gguf", "Q5_1"),
        ("bitnet 2B TQ1_0 - 1.69 bpw ternary", "x.gguf", "TQ1_0 - 1.69 bpw ternary"),
        ("llama 1B BF16", "x.gguf", "BF16"),
        ("llama 1B unknown, may not work", "C:\\m\\Qwen3-0.6B-UD-Q4_K_XL.gguf", "Q4_K_XL"),
        ("llama 1B", "/m/model-f16.gguf", "F16"),
        ("llama 1B", "/m/Q4_K.gguf", "unknown"),
    ],
)
def test_quantizations_are_read_from_names(model_type: str, file_name: str, quantization: str) -> None:
    assert quantization_of(model_type, file_name) == quantization


@given(
    st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}\.?[0-9]?b", fullmatch=True),
    st.sampled_from(["Q4_0", "Q4_K_M", "IQ3_XXS", "F16", "BF16", "Q8_0", "q5_k_s", "MXFP4"]),
    st.sampled_from(["-", ".", "_", "-UD-"]),
)
def test_files_that_differ_in_their_quantization_are_one_model(model: str, scheme: str, before: str) -> None:
    assert model_of(f"/sdcard/{model}{before}{scheme}.gguf") == model_of(f"{model}.gguf") == model
    assert quantization_of("llama 1B", f"{model}{before}{scheme}.gguf") == scheme.upper()
    assert architecture_of("LLaMA 1B mostly Q4_0") == "llama"


@pytest.mark.parametrize(
    "field",
    [
        {"samples_ns": [10**30]},
        {"model_size": 1 << 63},
        {"test_time": "0001-01-01T00:00:00Z"},
        {"n_threads": 0},
        {"a_setting_of_next_year": float("nan")},
        {"cpu_mask": "0-3"},
        {"cpu_mask": "-1"},
    ],
    ids=lambda field: str(next(iter(field.items()))),
)
def test_numbers_that_no_store_holds_are_refused(store: Store, file: Path, field: dict[str, Any]) -> None:
    with pytest.raises(ImportInvalid, match="test 2: "):
        imported(store, file, LLAMA_BENCH, LLAMA_BENCH | field)
    assert list(store.list_runs()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"avg_ts": 1017.37 * 2}, "avg_ts is 2034.74, the mean by samples_ns is 1017.37"),
        ({"avg_ns": 400_000_000}, "avg_ns is 400000000, the mean of samples_ns is 503333333.3"),
        ({"samples_ns": [500_000_000] * 3}, r"samples_ts\[1\] is 1000, tokens and samples_ns give 1024"),
        ({"samples_ts": [1024.0, 1000.0, 102.811]}, r"samples_ts\[2\] is 102.811"),
        ({"samples_ts": [1024.0, 1000.0]}, "samples_ts has 2 values, samples_ns 3"),
        ({"n_prompt": 128}, r"samples_ts\[0\] is 1024, tokens and samples_ns give 256"),
        ({"test_time": "2099-01-01T00:00:00Z"}, "test_time is 2099-01-01T00:00:00.*, and now is 20"),
    ],
)
def test_what_a_row_says_twice_must_agree(
    store: Store, file: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ImportInvalid, match=f"bench.json: test 2: {said}") as caught:
        imported(store, file, LLAMA_BENCH, LLAMA_BENCH | changes, as_they_are=True)
    assert "Nothing was imported" in (caught.value.next_step or "")
    assert list(store.list_runs()) == []


@given(
    st.lists(st.integers(1_000, 10**14), min_size=1, max_size=8),
    st.integers(1, 100_000),
    st.sampled_from(["{:.6f}", "{:.6g}"]),
)
def test_what_llama_bench_rounds_is_no_contradiction(samples: list[int], tokens: int, form: str) -> None:
    """C++ prints six decimals of an average, and six digits of a sample."""
    rates = [tokens * 1e9 / ns for ns in samples]
    assert (
        contradiction(
            tokens=tokens,
            samples_ns=samples,
            samples_ts=[float(f"{rate:.6g}") for rate in rates],
            avg_ns=sum(samples) // len(samples),
            avg_ts=float(form.format(sum(rates) / len(rates))),
        )
        is None
    )


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"n_threads": 8', '"n_threads": 8, "n_threads": 4', "'n_threads' stands twice in one test"),
        ('"n_threads": 8', f'"n_threads": {"9" * 5000}', "4300 digits"),
    ],
)
def test_json_that_means_several_things_or_no_number_is_refused(
    store: Store, file: Path, before: str, after: str, said: str
) -> None:
    file.write_text(json.dumps([LLAMA_BENCH]).replace(before, after))
    with pytest.raises(ImportInvalid, match=said):
        import_file(store, file)
    assert list(store.list_runs()) == []


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_a_time_without_a_zone_is_of_utc_on_every_machine(
    sqlite_store: Store, file: Path, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        imported(sqlite_store, file, LLAMA_BENCH | {"test_time": "2026-05-01T10:00:00"})
    finally:
        monkeypatch.undo()
        time.tzset()
    [summary] = sqlite_store.list_runs()
    # date -u -d '2026-05-01 10:00' +%s
    assert summary.run.created_unix_ns == 1_777_629_600 * 10**9


@pytest.mark.parametrize("text", ["half \\ud800 of a pair", "a \\u0000 within"])
@pytest.mark.parametrize("name", ["cpu_info", "a_new_setting"])
def test_texts_that_no_store_holds_are_refused(store: Store, file: Path, name: str, text: str) -> None:
    with pytest.raises(ImportInvalid, match="test 2: .*no store holds"):
        imported(store, file, LLAMA_BENCH, LLAMA_BENCH | {name: json.loads(f'"{text}"')})
    assert list(store.list_runs()) == []


@pytest.mark.parametrize(
    "name",
    ["Qualcomm Technologies, Inc SM8350", "Intel Corporation, Core i7-8650U", "Apple M2", "Snapdragon"],
)
def test_a_maker_with_a_chip_names_it(name: str) -> None:
    assert names_a_chip(name)


def test_an_import_is_taken_back_and_runs_are_deleted(store: Store, file: Path) -> None:
    first = imported(store, file, LLAMA_BENCH, name="a")
    second = imported(store, file, LLAMA_BENCH, DECODE, name="a")
    assert (second.added, second.known) == (1, 1)
    assert [(one.id, one.runs) for one in list_imports(store)] == [(second.id, 1), (first.id, 1)]
    assert second.id is not None and undo_import(store, second.id) == 1
    assert len(store.list_runs()) == 1
    with pytest.raises(RunNotFound, match="undo-import"):
        undo_import(store, second.id)
    assert imported(store, file, DECODE, name="a").added == 1, "it can come again"
    assert delete_runs(store, [*store.run_ids(), "nobody"]) == 2
    with store.reading() as connection:
        for table in ("runs", "devices", "artifacts", "repetitions", "imports", "tags", "measurements"):
            count = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
            assert count == 0, table
