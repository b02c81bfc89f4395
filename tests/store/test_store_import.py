from __future__ import annotations

import gzip
import io
import json
import math
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored_runs import MANIFEST, RUN, stored_run

from toolkit.analysis.compare import compare
from toolkit.analysis.compared_figures import find_figure
from toolkit.errors import ImportInvalid, StoreError, UsageError
from toolkit.store import Store, open_store
from toolkit.store.export import export
from toolkit.store.importing import Imported, import_file
from toolkit.store.tags import tag_runs, tags_of

# As `llama-bench -o json` of build 6152 prints it, shortened to two tests.
LLAMA_BENCH: dict[str, Any] = {
    "build_commit": "c6d1e1b", "build_number": 6152, "cpu_info": "AMD Ryzen 9 7950X", "gpu_info": "",
    "backends": "CPU", "model_filename": "models\\SmolLM2-135M-Instruct-Q4_K_M.gguf",
    "model_type": "llama 0.1B Q4_K - Medium", "model_size": 105454144, "model_n_params": 134515008,
    "n_batch": 2048, "n_ubatch": 512, "n_threads": 8, "cpu_mask": "0x5", "cpu_strict": False, "poll": 50,
    "type_k": "f16", "type_v": "f16", "n_gpu_layers": 99, "split_mode": "layer", "main_gpu": 0,
    "no_kv_offload": False, "flash_attn": False, "tensor_split": "0.00", "use_mmap": True,
    "embeddings": False, "n_prompt": 512, "n_gen": 0, "n_depth": 0, "test_time": "2026-11-20T10:00:00Z",
    "avg_ns": 503_333_333, "stddev_ns": 7_571_878, "avg_ts": 1017.37, "stddev_ts": 15.18,
    "samples_ns": [500_000_000, 512_000_000, 498_000_000], "samples_ts": [1024.0, 1000.0, 1028.11],
}  # fmt: skip
DECODE: dict[str, Any] = {
    **LLAMA_BENCH, "n_prompt": 0, "n_gen": 128, "test_time": "2026-11-20T10:00:05Z",
    "avg_ns": 1_140_000_000, "avg_ts": 114.0,
    "samples_ns": [1_280_000_000, 1_000_000_000], "samples_ts": [100.0, 128.0],
}  # fmt: skip


def exported(store: Store, *run_ids: str, format_name: str = "jsonl") -> bytes:
    stream = io.BytesIO()
    export(store, run_ids, format_name, stream)
    return stream.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "runs.json"


@pytest.fixture
def ours(tmp_path: Path, file: Path) -> Path:
    """A file with three runs, one of them tagged, one failed."""
    with open_store(f"sqlite:///{tmp_path / 'other.db'}") as other:
        other.add_run(stored_run(), MANIFEST)
        other.add_run(stored_run(id="second", serial="phone-2", emulated=False), MANIFEST)
        other.add_run(stored_run(id="third", status="device_lost", error="gone"), MANIFEST)
        tag_runs(other, "v1", ["second"])
        file.write_bytes(exported(other, RUN.id, "second", "third"))
    return file


def test_what_was_exported_comes_back_whole(store: Store, ours: Path) -> None:
    assert import_file(store, ours) == Imported(added=3, known=0)
    assert store.get_run(RUN.id) == stored_run()
    assert store.manifest(stored_run().artifact.sha256) == MANIFEST
    assert tags_of(store, [RUN.id, "second"]) == {"second": ["v1"]}
    assert exported(store, RUN.id, "second", "third") == ours.read_bytes()


@pytest.mark.parametrize("kind", ["named pipe", "process substitution"])
@pytest.mark.parametrize("content", ["ours", "ours behind a warning", "llama-bench", "nothing of ours"])
def test_what_can_be_read_only_once_is_taken_in(
    store: Store, ours: Path, kind: str, content: str, tmp_path: Path
) -> None:
    written = {
        "ours": ours.read_bytes(),
        "ours behind a warning": b"WARNING: linker: something\n" + ours.read_bytes(),
        "llama-bench": json.dumps([LLAMA_BENCH, DECODE, {**DECODE, "n_depth": 1}]).encode(),
        "nothing of ours": b"{" * 100_000,
    }[content]
    path = tmp_path / "pipe"
    if kind == "named pipe":
        os.mkfifo(path)
        feeder = threading.Thread(target=path.write_bytes, args=[written], daemon=True)
    else:
        reader, writer = os.pipe()
        path = Path(f"/dev/fd/{reader}")

        def feed() -> None:
            with os.fdopen(writer, "wb") as stream:
                stream.write(written)

        feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    if content == "nothing of ours":
        with pytest.raises(ImportInvalid) as raised:
            import_file(store, path)
        assert raised.value.subject == str(path), "not the copy"
    else:
        assert import_file(store, path) == Imported(added=3, known=0)
    feeder.join()
    if kind != "named pipe":
        os.close(reader)


LOGS = (
    "WARNING: linker: something unused in libx.so\n",
    "[INFO] {loading}\n",
    'register_backend: "CPU"\n',
    "* daemon started successfully *\n",
    "llama_perf: done [ok]\n",
)


@given(st.lists(st.sampled_from(LOGS), max_size=3), st.integers(0, 3), st.sampled_from(["utf-8", "utf-16"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
def test_lines_of_logs_may_stand_among_our_own(
    sqlite_store: Store, tmp_path: Path, ours: Path, logs: list[str], place: int, encoding: str
) -> None:
    lines = ours.read_text().splitlines(keepends=True)
    among = tmp_path / "among.jsonl"
    among.write_text("".join([*lines[:place], *logs, *lines[place:]]), encoding=encoding)
    found = import_file(sqlite_store, among)
    assert found.added + found.known == 3


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
def test_a_line_of_ours_that_is_cut_is_no_log(
    sqlite_store: Store, tmp_path: Path, ours: Path, data: st.DataObject
) -> None:
    lines = ours.read_text().splitlines()
    number = data.draw(st.integers(0, 2))
    cut = data.draw(st.integers(1, len(lines[number]) - 1))
    lines[number] = data.draw(st.sampled_from([lines[number][:cut], lines[number][cut:]]))
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_text("\n".join(lines))
    with pytest.raises(ImportInvalid):
        import_file(sqlite_store, damaged)


def test_runs_that_are_there_are_skipped(store: Store, ours: Path) -> None:
    store.add_run(stored_run(id="second", serial="phone-2", emulated=False), MANIFEST)
    tag_runs(store, "mine", ["second"])
    assert import_file(store, ours) == Imported(added=2, known=1)
    assert import_file(store, ours) == Imported(added=0, known=3)
    assert tags_of(store, ["second"]) == {"second": ["mine"]}


def test_a_run_given_up_is_replaced_by_its_result(store: Store, ours: Path, file: Path) -> None:
    store.add_run(stored_run(status="device_lost", error="gone"), MANIFEST)
    assert import_file(store, ours) == Imported(added=3, known=0)
    assert store.get_run(RUN.id).run.status == "ok"


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    def apply(line: str) -> str:
        data = json.loads(line)
        change(data)
        return json.dumps(data)

    return apply


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda line: line[: len(line) // 2], "line 3: Invalid JSON"),
        (lambda line: "[1]", "line 3"),
        (changed(lambda run: run.pop("manifest")), "line 3: manifest: Field required"),
        (changed(lambda run: run.update(schema="slm-stored-run/3")), "line 3: schema"),
        (changed(lambda run: run.update(extra=1)), "line 3: extra"),
        (changed(lambda run: run["run"].update(gpu_layers=1)), "run.gpu_layers: .*newer"),
        (changed(lambda run: run["run"].update(status="fine")), "line 3: run.status"),
        (changed(lambda run: run["run"].update(threads="2")), "line 3: run.threads"),
        (changed(lambda run: run["run"].update(id="../x")), "is not an id"),
        (changed(lambda run: run["run"].update(device_key="x")), "another device"),
        (changed(lambda run: run["run"].pop("engine")), "line 3: run.engine"),
        (changed(lambda run: run.update(repetitions=[{**REPETITION}, {**REPETITION}])), "same index"),
        (changed(lambda run: run.update(repetitions=[{**REPETITION, "prefill_ns": 0}])), "not positive"),
        (changed(lambda run: run.update(measurements=[{**WATTS}, {**WATTS}])), "same measurement"),
        (changed(lambda run: run.update(measurements=[{**WATTS, "value": "2"}])), "measurements.0.value"),
        (changed(lambda run: run.update(repetitions=[{**REPETITION, "decode_ns": [5, -1]}])), "not positive"),
        # A store that holds one of these cannot be listed any more.
        (changed(lambda run: run["run"].update(decode_stdev=math.inf)), "decode_stdev: inf is not a number"),
        (changed(lambda run: run["run"].update(decode_stdev=math.nan)), "decode_stdev: nan is not a number"),
        (changed(lambda run: run["run"].update(settings={"a": math.nan})), "settings: nan is not a number"),
        (changed(lambda run: run["manifest"].update(a=[{"b": math.inf}])), "manifest: inf is not a number"),
        (changed(lambda run: run.update(measurements=[{**WATTS, "value": math.inf}])), "mean_watts: inf"),
        (changed(lambda run: run["run"].update(created_unix_ns=-1)), "created_unix_ns: -1 is negative"),
        (changed(lambda run: run.update(repetitions=[{**REPETITION, "index": -4}])), "index: -4 is negative"),
        (changed(lambda run: run["run"].update(threads=-3)), "threads: -3 is negative"),
        (changed(lambda run: run["run"].update(decode_tokens_per_second=0.0)), "0.0 is not positive"),
        (changed(lambda run: run["run"].update(peak_bytes=0)), "peak_bytes: 0 is not positive"),
    ],
)
def test_a_damaged_line_imports_nothing(
    store: Store, ours: Path, damage: Callable[[str], str], said: str
) -> None:
    first, second, third = ours.read_text().splitlines()
    ours.write_text("\n".join([first, second, damage(third)]))
    with pytest.raises(ImportInvalid, match=f"(?s){said}.*Nothing was imported"):
        import_file(store, ours)
    assert store.list_runs() == []


WATTS = {"name": "mean_watts", "value": 2.5, "unit": "W", "repetition": None}
REPETITION = {"index": 0, "warmup": False, "started_unix_ns": 1, "prefill_ns": 1, "decode_ns": []}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda run: run["run"].update(decode_tokens_per_second=200.0),
            "run.decode_tokens_per_second is 200, the median of its repetitions 99.99",
        ),
        (lambda run: run["run"].update(prefill_tokens_per_second=5120.0), "is 5120, .* 51[12]"),
        (lambda run: run["run"].update(ttft_ns=1), "run.ttft_ns is 1, .* 1000000002"),
        (lambda run: run["run"].update(prompt_tokens=1024), "prefill_tokens_per_second is 512, .* 102[34]"),
        (lambda run: run["run"].update(greedy_matched=33), "greedy_matched is 33, greedy_total 32"),
        (lambda run: run["repetitions"][1].update(decode_total_ns=1), "is 1, the sum of decode_ns 30000003"),
        (lambda run: run["repetitions"][1].update(decode_ns=[10, 10]), "the sum of decode_ns 20"),
        (lambda run: run["run"].update(created_unix_ns=4_000_000_000 * 10**9), "2096-.*Set this machine's"),
        (lambda run: run.update(tags=["v1", "two words"]), "tags: 'two words' is not a tag"),
        (lambda run: run.update(tags=[""]), "tags: '' is not a tag"),
        (lambda run: run.update(measurements=[{**WATTS, "unit": "mW"}]), "the unit is 'mW', not 'W'"),
        (lambda run: run.update(measurements=[{**WATTS, "repetition": 1}]), "is measured of each run"),
    ],
)
def test_what_contradicts_its_own_samples_words_or_clock_imports_nothing(
    sqlite_store: Store, ours: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    first, *others = ours.read_text().splitlines()
    ours.write_text("\n".join([changed(change)(first), *others]))
    with pytest.raises(ImportInvalid, match=f"(?s)line 1: .*{said}.*") as raised:
        import_file(sqlite_store, ours)
    assert "Nothing was imported" in str(raised.value)
    assert sqlite_store.list_runs() == []


def test_what_newer_toolkits_measure_is_taken_in(sqlite_store: Store, ours: Path) -> None:
    first, *others = ours.read_text().splitlines()
    newer = {"name": "mean_lux", "value": 2.5, "unit": "lx", "repetition": None}
    ours.write_text("\n".join([changed(lambda run: run.update(measurements=[newer]))(first), *others]))
    assert import_file(sqlite_store, ours).added == 3


def test_a_row_that_the_database_refuses_takes_the_others_with_it(postgres_url: str, ours: Path) -> None:
    first, second, third = ours.read_text().splitlines()
    too_long = changed(lambda run: run["run"].update(abi="x" * 100))(third)
    ours.write_text("\n".join([first, second, too_long]))
    with open_store(postgres_url) as store:
        with pytest.raises(StoreError, match="too long"):
            import_file(store, ours)
        assert store.list_runs() == []


@pytest.mark.parametrize("lines", [False, True])
def test_llama_bench_becomes_a_run_per_test(store: Store, file: Path, lines: bool) -> None:
    tests = [LLAMA_BENCH, DECODE]
    file.write_text("\n".join(map(json.dumps, tests)) if lines else json.dumps(tests, indent=2))
    assert import_file(store, file) == Imported(added=2, known=0)
    decode, prefill = store.list_runs()
    assert (prefill.run.prompt_tokens, prefill.run.generate_tokens) == (512, 1)
    assert prefill.run.prefill_tokens_per_second == pytest.approx(1024)
    assert prefill.run.decode_tokens_per_second is None and prefill.run.ttft_ns == 500_000_000
    assert (decode.run.prompt_tokens, decode.run.generate_tokens) == (0, 129)
    assert decode.run.decode_tokens_per_second == pytest.approx(114)
    assert decode.run.prefill_tokens_per_second is None
    assert (prefill.run.engine, prefill.run.engine_version, prefill.run.protocol) == (
        "llama.cpp",
        "c6d1e1b",
        0,
    )
    assert (prefill.run.threads, prefill.run.affinity) == (8, (0, 2))
    assert prefill.artifact == decode.artifact and prefill.device == decode.device
    assert prefill.artifact.model == "SmolLM2-135M-Instruct", "the quantization is said beside it"
    assert prefill.artifact.quantization == "Q4_K - Medium"
    assert import_file(store, file) == Imported(added=0, known=2)


def test_imported_tests_are_compared_with_each_other_by_their_settings(store: Store, file: Path) -> None:
    later = {**DECODE, "test_time": "2026-11-21T10:00:05Z"}
    other = {**DECODE, "flash_attn": True}
    file.write_text(json.dumps([DECODE, later, other]))
    import_file(store, file, device_name="desk")
    comparison = compare(store, find_figure("decode"), ["flash_attn"])
    [ranking] = comparison.rankings
    assert sorted(len(place.group.runs) for place in ranking.places) == [1, 2]
    assert ranking.conditions.device_serial == "desk"
    assert [len(place.group.values) for place in ranking.places if len(place.group.runs) == 1] == [2]


def test_our_own_llama_bench_export_comes_back_as_emulated(store: Store, file: Path) -> None:
    store.add_run(stored_run(), MANIFEST)
    file.write_bytes(exported(store, RUN.id, format_name="llama-bench"))
    assert import_file(store, file).added == 2
    imported = [run for run in store.list_runs() if run.run.protocol == 0]
    assert {(run.device.emulated, run.run.engine) for run in imported} == {(True, "onnxruntime")}


def test_two_phones_of_one_model_stay_two_through_llama_bench(store: Store, file: Path) -> None:
    for number in ("1", "2"):
        store.add_run(stored_run(id=f"run{number}", serial=f"phone-{number}"), MANIFEST)
    file.write_bytes(exported(store, "run1", "run2", format_name="llama-bench"))
    assert import_file(store, file).added == 4
    imported = [run for run in store.list_runs() if run.run.protocol == 0]
    assert sorted(
        len([run for run in imported if run.device.key == key])
        for key in {run.device.key for run in imported}
    ) == [2, 2]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([LLAMA_BENCH, {**LLAMA_BENCH, "samples_ns": [0]}], "test 2: samples_ns.0"),
        ([LLAMA_BENCH, {**LLAMA_BENCH, "samples_ns": []}], "test 2: samples_ns"),
        ([LLAMA_BENCH, {"n_prompt": 1}], "test 2: build_commit: Field required"),
        ([LLAMA_BENCH, 7], "test 2: the row"),
        ([{"schema": "slm-stored-run/1"}], "Export with --format jsonl"),
        ([{"schema": "slm-stored-run/2"}], "Export with --format jsonl"),
    ],
)
def test_what_llama_bench_did_not_write_imports_nothing(
    store: Store, file: Path, content: Any, said: str
) -> None:
    file.write_text(json.dumps(content))
    with pytest.raises(ImportInvalid, match=said):
        import_file(store, file)
    assert store.list_runs() == []


@pytest.mark.parametrize("content", [b"PK\x03\x04\xff", b"not json", b"[1,", b"[" * 100_000])
def test_what_is_no_json_is_said(store: Store, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ImportInvalid, match="is not JSON"):
        import_file(store, file)


@pytest.mark.parametrize("kind", ["parquet", "sqlite", "gzip", "csv", "md", "html"])
def test_what_is_exported_and_not_imported_is_said(
    sqlite_store: Store, sqlite_url: str, ours: Path, file: Path, kind: str
) -> None:
    import_file(sqlite_store, ours)
    written = {
        "sqlite": lambda: Path(sqlite_url.removeprefix("sqlite:///")).read_bytes(),
        "gzip": lambda: gzip.compress(ours.read_bytes()),
    }
    content = written.get(kind, lambda: exported(sqlite_store, RUN.id, format_name=kind))()
    file.write_bytes(content)
    said = {"parquet": "it is Parquet", "sqlite": "it is a SQLite database", "gzip": "it is compressed"}
    with pytest.raises(ImportInvalid, match=said.get(kind, "no list of tests")) as caught:
        import_file(sqlite_store, file)
    assert "results export --format jsonl" in str(caught.value.next_step)


def test_files_that_are_empty_or_missing(store: Store, file: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        import_file(store, file)
    file.write_text("")
    assert import_file(store, file) == Imported(added=0, known=0)
