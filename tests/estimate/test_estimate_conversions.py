"""Estimates beside what conversion and runs then give."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from estimated_decoders import CONFIGS, random_model

from toolkit import api
from toolkit.export.estimated_conversion import EstimatedConversion, estimate_conversion
from toolkit.export.request import ConvertRequest
from toolkit.settings import Settings
from toolkit.store.rows import StoredRun

PROMPT, GENERATED = 256, 4
SAMPLE = (
    ("llama", "onnxruntime", "mobile-4bit"),
    ("gpt2", "onnxruntime", "8da8w"),
    ("gemma", "executorch", "8da4w"),
    ("minicpm3", "onnxruntime", "mobile-4bit"),
)
# Distances added to scores, and on ExecuTorch clamped activations, take memory that is not estimated, nor do
# tables of rotations beside those of the first size.
NOT_ESTIMATED = {("bloom", "onnxruntime"), ("bloom", "executorch"), ("opt", "executorch")}
NOT_ESTIMATED |= {("gemma4-shared", "onnxruntime"), ("gemma4-shared", "executorch")}
MATRIX = [
    (name, backend, quant)
    for name in CONFIGS
    for backend, quant in (
        ("onnxruntime", "mobile-4bit"),
        ("onnxruntime", "fp32"),
        ("executorch", "mobile-4bit"),
        ("executorch", "8da8w"),
    )
    if (name, backend) not in NOT_ESTIMATED
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    data = tmp_path / "data"
    return dataclasses.replace(
        Settings.from_environment(), data_dir=data, store_url=f"sqlite:///{data / 'results.db'}"
    )


@pytest.fixture(autouse=True)
def engine(backend: str, request: pytest.FixtureRequest) -> None:
    if backend == "executorch":
        request.getfixturevalue("executorch")


def estimated_and_real(
    name: str, backend: str, quant: str, folder: Path, settings: Settings
) -> tuple[EstimatedConversion, int, StoredRun]:
    request = ConvertRequest.of(
        model=random_model(name, folder),
        backend=backend,
        quant=quant,
        algorithm=None if quant == "fp32" else "rtn",
        parity_check=False,
    )
    found = estimate_conversion(request, settings, text=PROMPT + GENERATED, prompt_tokens=PROMPT)
    artifact = api.convert(request, folder / "artifact", settings=settings)
    [run] = api.profile(
        artifact,
        device="local",
        settings=settings,
        prompt_tokens=PROMPT,
        generate_tokens=GENERATED,
        repetitions=1,
        warmup=0,
        gate="off",
    )
    architecture = artifact.manifest.architecture
    assert found.estimate.unique_parameters == architecture.unique_parameters
    assert found.basis == "graph" and found.estimate.tokenizer_known
    return found, artifact.manifest.size_bytes, run


def check(name: str, backend: str, quant: str, folder: Path, settings: Settings) -> None:
    found, size, run = estimated_and_real(name, backend, quant, folder, settings)
    assert found.estimate.artifact_bytes == pytest.approx(size, rel=0.03)
    assert found.estimate.memory.peak_bytes == pytest.approx(run.run.peak_bytes, rel=0.10)


@pytest.mark.parametrize(("name", "backend", "quant"), SAMPLE)
def test_size_and_peak_memory_are_what_they_turn_out_to_be(
    name: str, backend: str, quant: str, tmp_path: Path, settings: Settings
) -> None:
    check(name, backend, quant, tmp_path, settings)


@pytest.mark.parametrize("backend", ["onnxruntime"])
def test_of_a_mixture_of_experts(backend: str, tmp_path: Path, settings: Settings) -> None:
    """Its router stays in float32; sixteen experts make that show."""
    fields = CONFIGS["llama"] | {
        "model_type": "olmoe",
        "num_experts": 16,
        "num_experts_per_tok": 2,
        "hidden_size": 384,
        "intermediate_size": 64,
        "vocab_size": 512,
    }
    file = tmp_path / "config.json"
    file.write_text(json.dumps(fields))
    request = ConvertRequest.of(
        model=f"random:{file}", backend=backend, quant="8da4w", algorithm="rtn", parity_check=False
    )
    found = estimate_conversion(request, settings).estimate
    manifest = api.convert(request, tmp_path / "artifact", settings=settings).manifest
    assert found.artifact_bytes == pytest.approx(manifest.size_bytes, rel=0.03)
    experts = 4 * 16 * 3 * 64 * 384
    assert found.active_parameters == found.unique_parameters - experts * 14 // 16


@pytest.mark.soak
@pytest.mark.parametrize(("name", "backend", "quant"), MATRIX)
def test_of_every_architecture(
    name: str, backend: str, quant: str, tmp_path: Path, settings: Settings
) -> None:
    check(name, backend, quant, tmp_path, settings)
