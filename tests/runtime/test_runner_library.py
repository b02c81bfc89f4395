"""The runner's core as a library: several texts and sessions in one process, on both engines."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import running_sum_program
from compiled_programs import TESTS, compile_programs
from executorch_programs import convert
from hybrid_decoder import HybridDecoder
from tiny_decoder import TinyDecoder

from toolkit.runtime.bundle import Bundle

pytestmark = pytest.mark.timeout(900)

COUNT = 6


def texts(program: Path, model: Path, library: str, prompt: list[int]) -> list[list[int]]:
    """Tokens of the texts that device_runner/tests/session_texts.h describes."""
    done = subprocess.run(
        [program, model, library, str(COUNT)],
        input=" ".join(map(str, prompt)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [[int(token) for token in line.split()] for line in done.stdout.splitlines()]


def expected_texts(tokens: list[int]) -> list[list[int]]:
    # Twice whole, stopped after two tokens, whole again after rewinding and from a checkpoint; two sessions.
    return [tokens, tokens, tokens[:2], tokens, tokens] * 2


def test_onnxruntime_serves_texts_and_sessions_after_each_other(
    bundle: Bundle, programs: Path, decoder: TinyDecoder, model: Path, tmp_path: Path
) -> None:
    library = str(bundle.path / "lib" / "libonnxruntime.so.1")
    prompt = [5, 17, 300, 2, 41]
    got = texts(programs / "onnxruntime_texts", model, library, prompt)
    assert got == expected_texts(decoder.greedy(prompt, COUNT))
    # One whose states are of every kind, so that going back is more than a smaller position.
    hybrid = HybridDecoder()
    prompt = [5, 17, 30, 2, 41]
    got = texts(programs / "onnxruntime_texts", hybrid.save(tmp_path / "hybrid"), library, prompt)
    assert got == expected_texts(hybrid.greedy(prompt, COUNT))


@pytest.mark.soak
def test_going_back_and_forth_stays_in_the_states_memory(bundle: Bundle, tmp_path: Path) -> None:
    build = compile_programs(
        tmp_path,
        "onnxruntime_texts",
        engines=["onnxruntime"],
        SLM_SANITIZE="address,undefined",
        CMAKE_BUILD_TYPE="Debug",
    )
    library = str(bundle.path / "lib" / "libonnxruntime.so.1")
    hybrid = HybridDecoder()
    prompt = [5, 17, 30, 2, 41]
    got = texts(build / TESTS / "onnxruntime_texts", hybrid.save(tmp_path / "hybrid"), library, prompt)
    assert got == expected_texts(hybrid.greedy(prompt, COUNT))


@pytest.mark.skipif(find_spec("executorch") is None, reason="the extra [executorch] is not installed")
def test_executorch_serves_texts_and_sessions_after_each_other(programs: Path, tmp_path: Path) -> None:
    artifact = convert("random:llama-tiny", tmp_path / "llama", "--quant", "fp32")
    reference = artifact.manifest.greedy_reference
    assert reference is not None
    model = artifact.path / artifact.manifest.model_file
    got = texts(programs / "executorch_texts", model, "", reference.prompt_ids)
    assert got == expected_texts(reference.token_ids[:COUNT])
    # A state that holds the whole text: a smaller position does not take it back.
    model = tmp_path / "sum.pte"
    writer = [sys.executable, running_sum_program.__file__, model]
    subprocess.run(writer, check=True, capture_output=True, timeout=120)
    prompt = [5, 17, 30, 2, 41]
    got = texts(programs / "executorch_texts", model, "", prompt)
    assert got == expected_texts(running_sum_program.greedy(prompt, COUNT))
