"""The JNI library on this machine's JVM, beside the runner of the shell."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import running_sum_program
from contract import Core, write_arguments
from jni_library import JNI_FUNCTIONS, library_without_warnings
from runner_process import Runner
from tiny_decoder import TinyDecoder

pytestmark = pytest.mark.timeout(900)

WORK = ("--threads", "2", "--prompt-tokens", "40", "--generate-tokens", "6", "--repetitions", "2")
# Times and memory differ from run to run.
DIFFERING = ("_ns", "_bytes", "major_faults", "samples")


def comparable(text: bytes) -> list[dict[str, Any]]:
    return [
        {
            name: value
            for name, value in json.loads(line).items()
            if name != "ns" and not name.endswith(DIFFERING)
        }
        for line in text.splitlines()
    ]


def profile(model: str | Path | bytes, output: str | Path | bytes, *more: str) -> list[str | Path | bytes]:
    return ["profile", "--model", model, "--run-id", "r1", "--output", output, *WORK, *more]


@pytest.fixture(scope="module")
def engine_library(ort_library: Path) -> tuple[str, str]:
    return "--engine-library", str(ort_library / "libonnxruntime.so")


def codes(stderr: bytes) -> list[int]:
    return [int(line.split()[1]) for line in stderr.splitlines() if line.startswith(b"exit ")]


def test_two_runs_in_one_process_give_the_records_of_the_shell(
    core: Core,
    ort_library: Path,
    engine_library: tuple[str, str],
    runner: Runner,
    model: Path,
    tmp_path: Path,
) -> None:
    files = [
        write_arguments(tmp_path / f"arguments{n}", *profile(model, f"@run/result{n}", *engine_library))
        for n in (1, 2)
    ]
    done = core("run", *files, library=ort_library)
    assert done.stderr == b"exit 0\nexit 0\n"
    shell = runner(*profile(model, tmp_path / "shell"), text=False)
    assert shell.returncode == 0
    first, second = ((tmp_path / f"result{n}").read_bytes() for n in (1, 2))
    assert done.stdout == first + second
    assert comparable(first) == comparable(second) == comparable(shell.stdout)


def test_info_and_generated_tokens_are_those_of_the_shell(
    core: Core,
    ort_library: Path,
    engine_library: tuple[str, str],
    runner: Runner,
    decoder: TinyDecoder,
    model: Path,
    tmp_path: Path,
) -> None:
    prompt = tmp_path / "ids"
    prompt.write_text("3 77 210 5")
    generate = ["generate", "--model", model, "--prompt-file", prompt, "--max-tokens", "8"]
    files = [
        write_arguments(tmp_path / "info", "info", "--model", model, *engine_library),
        write_arguments(tmp_path / "generate", *generate, *engine_library),
    ]
    done = core("run", *files, library=ort_library)
    assert codes(done.stderr) == [0, 0]
    info, *records = done.stdout.splitlines(keepends=True)
    assert json.loads(info) == json.loads(runner("info", "--model", model).stdout)
    assert comparable(b"".join(records)) == comparable(runner(*generate, text=False).stdout)
    tokens = [record["id"] for record in comparable(b"".join(records)) if record["record"] == "token"]
    assert tokens == decoder.greedy([3, 77, 210, 5], 8)


def test_paths_are_bytes(
    core: Core,
    ort_library: Path,
    engine_library: tuple[str, str],
    model: Path,
    tmp_path: Path,
) -> None:
    odd = os.fsencode(tmp_path) + b"/mod\xe8l \"'$(false);\n\xf0\x9f\x98\x80"
    shutil.copytree(model, os.fsdecode(odd))
    arguments = write_arguments(tmp_path / "arguments", *profile(odd, odd + b"/result", *engine_library))
    done = core("run", arguments, library=ort_library)
    assert codes(done.stderr) == [0]
    assert os.path.exists(odd + b"/result")


def test_every_failure_has_the_exit_code_and_line_of_the_shell(
    core: Core,
    ort_library: Path,
    engine_library: tuple[str, str],
    runner: Runner,
    model: Path,
    tmp_path: Path,
) -> None:
    import onnx
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", value[:1], value[1:])
    neg = tmp_path / "neg.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), neg)
    changes = {
        2: ["--wrong", "1"],
        3: ["--engine-library", "/absent.so"],
        4: ["--model", "/absent"],
        5: ["--model", str(neg)],
        6: ["--depth", "5000"],
        8: ["--output", "/absent/result"],
        9: ["--affinity", "900"],
        10: ["--threads", "2000"],
        11: ["--kernels", "own:theirs"],
    }
    files, expected = [], []
    for code, change in changes.items():
        flags = {"--model": str(model), "--output": str(tmp_path / "result")}
        theirs = flags | dict([change])  # type: ignore[list-item]
        shell = runner("profile", *(word for flag in theirs.items() for word in flag))
        assert shell.returncode == code
        expected.append(shell.stderr.replace("slm-runner-ort", "slm-app-ort"))
        ours = dict([engine_library]) | theirs
        words = [word for flag in ours.items() for word in flag]
        files.append(write_arguments(tmp_path / f"arguments{code}", "profile", *words))
    # The same process then still runs one that goes well, and one that is cancelled.
    files.append(write_arguments(tmp_path / "well", *profile(model, "@run/well", *engine_library)))
    cancelled = write_arguments(tmp_path / "cancelled", *profile(model, "@run/never", *engine_library))
    done = core("run", *files, f"{cancelled}:2", library=ort_library)
    assert codes(done.stderr) == [*changes, 0, 143]
    said = [f"{line}\n" for line in done.stderr.decode().splitlines() if not line.startswith("exit ")]
    assert said == [*expected, "slm-app-ort: error: stopped by signal 15\n"]
    assert not (tmp_path / "never").exists()
    assert (tmp_path / "never.part").exists()


# Building it takes a minute.
@pytest.mark.soak
@pytest.mark.skipif(find_spec("executorch") is None, reason="the extra [executorch] is not installed")
def test_executorch_runs_in_the_jvm(core: Core, tmp_path: Path) -> None:
    model = tmp_path / "sum.pte"
    writer = [sys.executable, running_sum_program.__file__, model]
    subprocess.run(writer, check=True, capture_output=True, timeout=120)
    prompt = [5, 17, 30, 2, 41]
    (tmp_path / "ids").write_text(" ".join(map(str, prompt)))
    generate = ["generate", "--model", model, "--prompt-file", tmp_path / "ids", "--max-tokens", "6"]
    arguments = write_arguments(tmp_path / "arguments", *generate, engine="executorch")
    library = library_without_warnings("executorch")
    done = core("run", arguments, arguments, library=library)
    assert codes(done.stderr) == [0, 0]
    tokens = [json.loads(line)["id"] for line in done.stdout.splitlines() if b'"token"' in line]
    assert tokens == running_sum_program.greedy(prompt, 6) * 2


def test_the_library_shows_nothing_but_its_jni_functions(ort_library: Path) -> None:
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", ort_library / "libslm_ort.so"],
        capture_output=True,
        text=True,
        check=True,
    )
    functions = {line.split()[2] for line in listed.stdout.splitlines() if line.split()[1] == "T"}
    assert functions == JNI_FUNCTIONS
