"""slm-runner-et in its bundle, on programs that slm convert wrote."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from executorch_programs import (
    convert,
    cut,
    damaged,
    newer,
    with_unknown_backend,
    with_unknown_kernel,
)

from toolkit.artifact import Artifact
from toolkit.errors import EngineMismatch
from toolkit.models.layers import attention_of
from toolkit.profiling.records import parse_result
from toolkit.runtime.bundle import Bundle, build_bundle
from toolkit.settings import Settings

needs_executorch = pytest.mark.skipif(
    find_spec("executorch") is None, reason="the extra [executorch] is not installed"
)
pytestmark = pytest.mark.timeout(600)

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def et_bundle() -> Bundle:
    return build_bundle("host", Settings.from_environment(), engine="executorch")


@pytest.fixture(scope="module")
def et_runner(et_bundle: Bundle) -> Run:
    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [*et_bundle.command(str(et_bundle.path)), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, env={})

    return run


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return convert("random:llama-tiny", tmp_path_factory.mktemp("et") / "llama", "--quant", "fp32")


def generate(run: Run, artifact: Artifact, folder: Path, *flags: str) -> list[int]:
    reference = artifact.manifest.greedy_reference
    assert reference is not None
    prompt = folder / "ids.txt"
    prompt.write_text(" ".join(map(str, reference.prompt_ids)))
    count = str(len(reference.token_ids))
    arguments = ["--model", artifact.path, "--prompt-file", prompt, "--max-tokens", count, *flags]
    done = run("generate", *arguments)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    return [record["id"] for record in records if record["record"] == "token"]


@needs_executorch
@pytest.mark.parametrize("chunk", ["1", "7", "512"])
def test_greedy_tokens_equal_the_manifest_in_any_chunks(
    et_runner: Run, llama: Artifact, tmp_path: Path, chunk: str
) -> None:
    reference = llama.manifest.greedy_reference
    assert reference is not None
    tokens = generate(et_runner, llama, tmp_path, "--prefill-chunk", chunk, "--threads", "2")
    assert tokens == reference.token_ids


@needs_executorch
@pytest.mark.parametrize("model", ["gemma3-tiny", "gpt2-tiny"])
def test_other_model_types_equal_the_manifest(et_runner: Run, tmp_path: Path, model: str) -> None:
    artifact = convert(f"random:{model}", tmp_path / model, "--quant", "fp32")
    reference = artifact.manifest.greedy_reference
    assert reference is not None
    assert generate(et_runner, artifact, tmp_path) == reference.token_ids


@needs_executorch
def test_quantized_models_run(et_runner: Run, tmp_path: Path) -> None:
    artifact = convert("random:llama-tiny", tmp_path / "model", "--quant", "8da4w", "--embedding", "4w")
    assert len(generate(et_runner, artifact, tmp_path)) == 32


@needs_executorch
def test_profile_writes_the_records_of_every_engine(et_runner: Run, llama: Artifact, tmp_path: Path) -> None:
    output = tmp_path / "result.jsonl"
    flags = ["--prompt-tokens", "20", "--generate-tokens", "5", "--depth", "8", "--repetitions", "2"]
    done = et_runner("profile", "--model", llama.path, "--run-id", "p1", "--output", output, *flags)
    assert done.returncode == 0, done.stderr
    result = parse_result(output.read_text(), run_id="p1", subject=str(output))
    assert [len(repetition.decode_ns) for repetition in result.measured] == [4, 4]
    assert result.start.engine == "executorch"
    assert result.start.engine_version == importlib.metadata.version("executorch")
    assert result.start.context_length == llama.manifest.context_length


@needs_executorch
def test_more_positions_than_the_context_are_refused(et_runner: Run, llama: Artifact, tmp_path: Path) -> None:
    output = tmp_path / "result.jsonl"
    too_many = str(llama.manifest.context_length + 1)
    done = et_runner("profile", "--model", llama.path, "--output", output, "--prompt-tokens", too_many)
    assert done.returncode == 6
    assert not output.exists()


@needs_executorch
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "is truncated: it has"),
        (newer, "is of format ET13"),
        (with_unknown_kernel, "Missing operator: [5] llama::update_cacha.out"),
        (with_unknown_backend, "Backend XnnpackBackenX is not registered"),
        (damaged, "may be truncated or corrupt"),
        (lambda program: b"", "is no ExecuTorch program, it has 0 bytes"),
        (lambda program: b"x" * 1000, "is no ExecuTorch program"),
    ],
    ids=["cut", "newer", "kernel", "backend", "damaged", "empty", "foreign"],
)
def test_bad_programs_give_one_error_and_no_result(
    et_runner: Run, llama: Artifact, tmp_path: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    program = tmp_path / "model.pte"
    program.write_bytes(damage((llama.path / "model.pte").read_bytes()))
    output = tmp_path / "result.jsonl"
    done = et_runner("profile", "--model", tmp_path, "--output", output)
    assert done.returncode == 4
    assert done.stderr.startswith(f"slm-runner-et: error: {program}: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not output.exists()


@needs_executorch
def test_programs_with_another_interface_are_refused(et_runner: Run, llama: Artifact, tmp_path: Path) -> None:
    # The method under another name, of the same length.
    program = (llama.path / "model.pte").read_bytes()
    (tmp_path / "model.pte").write_bytes(program.replace(b"forward", b"onwards"))
    done = et_runner("info", "--model", tmp_path)
    assert done.returncode == 5
    assert "has no method forward" in done.stderr


@needs_executorch
def test_flags_of_other_engines_are_refused(et_runner: Run, llama: Artifact) -> None:
    assert et_runner("info", "--engine-option", "a=b").returncode == 2
    assert et_runner("info", "--engine-library", "x.so").returncode == 2
    assert et_runner("info", "--model", llama.path / "absent.pte").returncode == 4


@needs_executorch
@pytest.mark.skipif(os.cpu_count() == 1, reason="one CPU cannot take two threads")
def test_threads_are_pinned_where_asked(et_runner: Run, llama: Artifact, tmp_path: Path) -> None:
    cpus = sorted(os.sched_getaffinity(0))[:2]
    flags = ["--threads", "2", "--affinity", ",".join(map(str, cpus))]
    reference = llama.manifest.greedy_reference
    assert reference is not None
    assert generate(et_runner, llama, tmp_path, *flags) == reference.token_ids


@needs_executorch
def test_the_bundle_holds_no_path_of_this_machine(et_bundle: Bundle) -> None:
    import executorch

    package = os.fsencode(str(Path(list(executorch.__path__)[0])))
    assert package not in (et_bundle.path / "slm-runner-et").read_bytes()
    assert {entry.path for entry in et_bundle.files} >= {
        "slm-runner-et",
        "lib/libexecutorch.so",
        et_bundle.loader,
    }


@needs_executorch
@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_without_proc_it_says_what_is_missing(et_bundle: Bundle, tmp_path: Path) -> None:
    shutil.copytree(et_bundle.path, tmp_path / "bundle")
    command = ["chroot", str(tmp_path), *et_bundle.command("/bundle"), "info"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "it needs /proc/cpuinfo" in done.stderr


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineMismatch, match="executorch package is not installed") as failure:
        build_bundle("host", Settings.from_environment(), engine="executorch")
    assert "[executorch]'" in (failure.value.next_step or "")


@needs_executorch
def test_a_program_with_renamed_delegates_counts_once(et_bundle: Bundle, tmp_path: Path) -> None:
    artifact = convert("random:llama-tiny", tmp_path / "quantized", "--quant", "8da4w")
    program = artifact.path / artifact.manifest.model_file
    command = [*et_bundle.command(str(et_bundle.path)), "profile", "--model", str(artifact.path)]
    command += ["--output", str(tmp_path / "result"), "--gate-dir", str(tmp_path), "--gate-timeout", "60"]
    command += ["--prompt-tokens", "20", "--generate-tokens", "4"]
    with subprocess.Popen([*command], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        # Loaded, and waiting for a gate that stays shut.
        while json.loads(process.stdout.readline())["record"] != "gate":
            pass
        mapped = mapped_kilobytes(process.pid, program)
        process.terminate()
    # Each page of the file once, however it is mapped; those of the program's own hold a name.
    page = os.sysconf("SC_PAGE_SIZE") // 1024
    in_pages = -(-program.stat().st_size // (page * 1024)) * page
    assert 0 < mapped["Rss"] <= in_pages
    names = program.read_bytes().count(b"XnnpackBackend")
    assert 0 < mapped["Anonymous"] <= names * 2 * page


def mapped_kilobytes(pid: int, file: Path) -> Counter[str]:
    """The sums over a file's mappings in /proc/PID/smaps."""
    sums: Counter[str] = Counter()
    inside = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            inside = line.endswith(f" {file}")
        elif inside and line.endswith(" kB"):
            name, size, _ = line.split()
            sums[name.removesuffix(":")] += int(size)
    return sums


@needs_executorch
def test_info_tells_the_geometry_of_the_cache(et_runner: Run, llama: Artifact) -> None:
    from executorch.runtime import Runtime

    done = et_runner("info", "--model", llama.path)
    assert done.returncode == 0, done.stderr
    info = json.loads(done.stdout)
    # The Python package links further ones.
    registered = Runtime.get().backend_registry.registered_backend_names
    assert "XnnpackBackend" in info["providers"] and set(info["providers"]) <= set(registered)
    facts = info["model"]
    architecture = llama.manifest.architecture
    [attention] = set(attention_of(architecture.layers))
    assert facts["layers"] == len(architecture.layers)
    assert facts["kv_heads"] == attention.kv_heads
    assert facts["head_dim"] == attention.head_dim
    assert facts["vocab_size"] == architecture.vocab_size
    assert facts["context_length"] == llama.manifest.context_length


@needs_executorch
def test_turns_are_what_each_prompt_alone_gives(
    et_bundle: Bundle, et_runner: Run, llama: Artifact, tmp_path: Path
) -> None:
    reference = llama.manifest.greedy_reference
    assert reference is not None
    expected = reference.token_ids
    prompts = [reference.prompt_ids, [*reference.prompt_ids, *expected[:4]], reference.prompt_ids]
    command = [*et_bundle.command(str(et_bundle.path)), "serve", "--model", str(llama.path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={}
    ) as served:
        assert served.stdin is not None and served.stdout is not None
        turns: dict[int, list[int]] = {}
        kept = []
        for number, prompt in enumerate(prompts):
            served.stdin.write(f"turn {number} 6 - 0 0 1 0 {' '.join(map(str, prompt))}\n")
            served.stdin.flush()
            for record in map(json.loads, served.stdout):
                if record["record"] == "token":
                    turns.setdefault(record["turn"], []).append(record["id"])
                if record["record"] == "turn":
                    kept.append(record["kept"])
                    break
        served.stdin.close()
        assert json.loads(served.stdout.read())["record"] == "end"
    assert served.returncode == 0
    assert turns == {0: expected[:6], 1: expected[4:10], 2: expected[:6]}
    # All that was fed before and begins alike, less the last token of a prompt.
    length = len(reference.prompt_ids)
    assert kept == [0, length + 3, length - 1]
