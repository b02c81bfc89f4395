"""Our artifacts give the same greedy tokens on our runner and in onnxruntime-genai from PyPI."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from official_runtime import genai_greedy
from runner_process import Runner

from toolkit.artifact import Artifact
from toolkit.errors import SourceNotFound
from toolkit.export.convert import convert
from toolkit.export.request import ConvertRequest
from toolkit.settings import Settings
from toolkit.sources import resolve


def converted(model: str, quant: str, folder: Path) -> Artifact:
    settings = Settings.from_environment()
    try:
        source = resolve(model, settings)
    except SourceNotFound as error:
        pytest.skip(f"{model} cannot be had: {error.what}")
    return convert(source, ConvertRequest(model=model, quant=quant), folder / "artifact", settings)


def runner_tokens(runner: Runner, artifact: Artifact, kernels: str, folder: Path) -> list[int]:
    reference = artifact.manifest.greedy_reference
    assert reference is not None
    prompt = folder / "prompt.txt"
    prompt.write_text(" ".join(map(str, reference.prompt_ids)))
    result = runner(
        "generate", "--model", artifact.path, "--prompt-file", prompt,
        "--max-tokens", len(reference.token_ids), "--kernels", kernels,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    records = [json.loads(line) for line in result.stdout.splitlines()]
    return [record["id"] for record in records if record["record"] == "token"]


@pytest.mark.parametrize(
    ("model", "quant"),
    [
        ("random:llama-tiny", "8da4w"),
        ("random:gemma3-tiny", "8da8w"),
        ("random:gpt2-tiny", "8da4w"),
        ("SmolLM2-135M-Instruct", "mobile-4bit"),
    ],
)
def test_the_engines_kernels_give_genais_32_tokens(
    model: str, quant: str, runner: Runner, tmp_path: Path
) -> None:
    artifact = converted(model, quant, tmp_path)
    tokens = runner_tokens(runner, artifact, "engine", tmp_path)
    assert len(tokens) == 32
    assert tokens == genai_greedy(artifact)


@pytest.mark.parametrize("model", ["random:llama-tiny", "random:qwen3-tiny", "random:gemma3-tiny"])
def test_own_kernels_give_genais_32_tokens_where_nothing_is_rounded(
    model: str, runner: Runner, tmp_path: Path
) -> None:
    # With int8 activations a last-bit difference becomes a whole step: see docs/kernels.md.
    artifact = converted(model, "4w", tmp_path)
    assert runner_tokens(runner, artifact, "own", tmp_path) == genai_greedy(artifact)


CONFIGS = Path(__file__).parents[1] / "families" / "configs"


@pytest.mark.soak
@pytest.mark.parametrize("name", ["qwen2_moe", "gpt_oss", "gemma4_text-shared", "falcon-rw"])
def test_genai_gives_the_hosts_tokens_of_models_unlike_llama(name: str, tmp_path: Path) -> None:
    # Experts, sinks, shared keys, biases of keys.
    artifact = converted(f"random:{CONFIGS / name}.json", "fp32", tmp_path)
    reference = artifact.manifest.greedy_reference
    assert reference is not None
    assert genai_greedy(artifact) == list(reference.token_ids)
