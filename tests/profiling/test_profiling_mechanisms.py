"""Decoders unlike llama through the command line: one config for each mechanism, on both engines."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from executorch_programs import convert
from runs import SMALL_FLAGS
from slm_process import SlmProcess

from toolkit.settings import Settings
from toolkit.store import open_store

CONFIGS = Path(__file__).parents[1] / "families" / "configs"
ENGINES = ("onnxruntime", "executorch") if find_spec("executorch") else ("onnxruntime",)
# Their states are no keys and values: onnxruntime-genai does not run them.
OTHER_STATES = ("qwen3_next", "bamba", "lfm2", "mamba", "recurrent_gemma", "deepseek_v3", "minicpm3")
MECHANISMS = {
    "experts, a delta rule, short convolutions and attention": "qwen3_next",
}
OTHER_MECHANISMS = {
    "experts beside one that all tokens use": "qwen2_moe",
    "experts in groups, latent attention": "deepseek_v3",
    "sinks": "gpt_oss",
    "short convolutions": "lfm2",
    "a recurrence with a decay for each channel and column": "mamba",
    "recurrences beside attention": "bamba",
    "a recurrence over channels": "recurrent_gemma",
    "latent attention": "minicpm3",
    "layers that share keys and values": "gemma4_text-shared",
    "a soft cap": "gemma2",
    "biases of keys": "falcon-rw",
    "biases that grow with the distance": "bloom",
    "attention within chunks": "llama4_text",
}

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", MECHANISMS.values(), ids=MECHANISMS.keys())
def test_greedy_tokens_equal_the_host_whatever_the_chunks_are(
    slm: SlmProcess, settings: Settings, tmp_path: Path, name: str, engine: str
) -> None:
    assert_tokens_equal(slm, settings, tmp_path, name, engine)


@pytest.mark.soak
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", OTHER_MECHANISMS.values(), ids=OTHER_MECHANISMS.keys())
def test_greedy_tokens_of_other_mechanisms_equal_the_host(
    slm: SlmProcess, settings: Settings, tmp_path: Path, name: str, engine: str
) -> None:
    assert_tokens_equal(slm, settings, tmp_path, name, engine)


def assert_tokens_equal(slm: SlmProcess, settings: Settings, tmp_path: Path, name: str, engine: str) -> None:
    folder = tmp_path / "artifact"
    artifact = convert(f"random:{CONFIGS / f'{name}.json'}", folder, "--backend", engine, "--quant", "fp32")
    assert artifact.manifest.parity is not None and artifact.manifest.parity.passed
    runs_in_genai = engine == "onnxruntime" and name not in OTHER_STATES
    assert (folder / "genai_config.json").exists() == runs_in_genai
    assert ("onnxruntime-genai" in (artifact.manifest.runtimes or ["onnxruntime-genai"])) == (
        runs_in_genai or engine == "executorch"
    )
    process = slm("profile", folder, "-d", "local", *SMALL_FLAGS, "--prefill-chunk", "5")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    with open_store(settings.store_url) as store:
        [entry] = store.list_runs()
    assert entry.run.status == "ok"
    assert entry.run.greedy_matched == entry.run.greedy_total and entry.run.greedy_total
