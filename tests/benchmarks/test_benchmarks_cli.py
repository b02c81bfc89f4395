from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import cli
from benchmarks.environments import Environment
from benchmarks.errors import PeerFailed
from benchmarks.peers.llama_cpp import build_variables, missing_instruction_sets

_ROWS = [
    "ours-mobile-4bit",
    "ours-mobile-4bit-engine-kernels",
    "ours-mobile-4bit-app-library",
    "genai-same-artifact",
    "genai-same-artifact-as-shipped",
    "genai-builder",
    "genai-builder-as-shipped",
    "ours-mobile-4bit-executorch",
    "ours-mobile-4bit-executorch-engine-kernels",
    "executorch-same-artifact",
    "executorch-optimum",
    "llama.cpp-q4_0",
    "llama.cpp-q4_k_m",
    "llama.cpp-source-file",
]


def peers(tmp_path: Path, *quantizations: str) -> list:
    return cli.all_peers(quantizations or ("mobile-4bit",), cli.Environments.under(tmp_path))


def test_rows_and_their_order(tmp_path):
    assert [peer.name for peer in peers(tmp_path)] == _ROWS


def test_each_quantization_is_a_row_of_ours_on_both_engines(tmp_path):
    names = [peer.name for peer in peers(tmp_path, "mobile-4bit", "8da4w")]
    assert [name for name in names if "8da4w" in name] == ["ours-8da4w", "ours-8da4w-executorch"]
    assert [name for name in names if "8da4w" not in name] == _ROWS


def test_what_executorch_cannot_have_is_no_row(tmp_path):
    names = [peer.name for peer in peers(tmp_path, "source")]
    assert [name for name in names if "source" in name] == [
        "ours-source",
        "ours-source-engine-kernels",
        "ours-source-app-library",
        "llama.cpp-source-file",
    ]
    assert "executorch-optimum" in names


def test_rows_are_chosen_by_pattern(tmp_path):
    chosen = cli.choose(peers(tmp_path), ["llama.cpp-*", "ours-mobile-4bit"])
    assert [peer.name for peer in chosen] == [_ROWS[0], *_ROWS[11:]]


def test_what_runs_on_executorch_can_be_run_alone(tmp_path):
    chosen = cli.choose(peers(tmp_path), ["*executorch*"])
    assert [peer.name for peer in chosen] == _ROWS[7:11]
    assert {peer.engine for peer in chosen} == {"executorch"}
    others = [peer for peer in peers(tmp_path) if peer.name not in _ROWS[7:11]]
    assert all(peer.engine != "executorch" for peer in others)


def test_an_unknown_row_lists_the_known_ones(tmp_path):
    with pytest.raises(PeerFailed, match="'mlc'.*genai-builder-as-shipped"):
        cli.choose(peers(tmp_path), ["ours-*", "mlc"])


def test_an_unknown_row_ends_the_command_before_any_work(capsys):
    assert cli.main(["--only", "mlc"]) == 2
    assert "no row is called 'mlc'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--threads", "-1"], ["--threads", "two"], ["--x"]])
def test_arguments_that_cannot_be_meant_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.parse_arguments(arguments)
    assert ended.value.code == 2
    assert "error" in capsys.readouterr().err


def test_the_default_is_the_full_protocol():
    workload = cli.workload_of(cli.parse_arguments([]))
    assert (workload.prompt_tokens, workload.generate_tokens, workload.threads) == (512, 128, 2)
    assert workload.rounds == 5
    assert workload.context_length == 640
    assert workload.windows is None


def test_quick_takes_rounds_and_threads_too():
    workload = cli.workload_of(cli.parse_arguments(["--quick", "--rounds", "7", "--threads", "1"]))
    assert (workload.rounds, workload.threads) == (7, 1)
    assert workload.prompt_tokens < 512


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        ([], cli.PUBLISHED),
        (["--rounds", "9"], cli.PUBLISHED),
        (["--quick"], cli.OUT),
        (["--only", "ours-*"], cli.OUT),
        (["--rounds", "2"], cli.OUT),
    ],
)
def test_only_a_full_run_replaces_the_published_page(arguments, folder):
    assert cli.output_of(cli.parse_arguments(arguments)) == folder / "latest.md"


def test_the_output_can_be_named(tmp_path):
    assert cli.output_of(cli.parse_arguments(["--output", str(tmp_path / "a.md")])) == tmp_path / "a.md"


def test_the_module_lists_its_rows():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--list", "--quant", "mobile-4bit"],
        cwd=cli.ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == _ROWS


def test_requirements_are_pinned(tmp_path):
    for name in ("onnxruntime_genai", "optimum_executorch", "llama_cpp"):
        text = Environment(name, tmp_path).requirements.read_text()
        pins = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert pins and all("==" in line for line in pins)


def test_llama_cpp_is_built_for_this_cpu_but_never_natively_on_x86():
    options = build_variables({"avx", "avx2", "fma", "amx_int8"}, "x86_64")["CMAKE_ARGS"].split()
    assert "-DGGML_NATIVE=OFF" in options
    assert {"-DGGML_AVX2=ON", "-DGGML_FMA=ON", "-DGGML_AVX512=OFF"} <= set(options)
    assert not any("AMX" in option for option in options)
    assert build_variables(set(), "aarch64") == {"CMAKE_ARGS": "-DGGML_NATIVE=ON"}


def test_a_build_without_the_cpus_instructions_is_noticed():
    info = "CPU : SSE3 = 1 | AVX = 1 | AVX2 = 1 | FMA = 0 | AVX512 = 1 | REPACK = 1 | "
    assert missing_instruction_sets(info, {"avx", "avx2"}) == []
    assert missing_instruction_sets(info, {"avx", "avx2", "fma", "avx512_vnni"}) == ["FMA", "AVX512_VNNI"]
    # ggml has no use for AVX-VNNI beside AVX512-VNNI.
    assert missing_instruction_sets("AVX512_VNNI = 1", {"avx512_vnni", "avx_vnni"}) == []
    assert missing_instruction_sets("AVX = 1", {"avx", "avx_vnni"}) == ["AVX_VNNI"]
