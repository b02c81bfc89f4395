"""Layers that share the parameters of another one: their copies are not stored."""

from __future__ import annotations

import json
from pathlib import Path

import conversions_of_families
import pytest
from conversions_of_families import CONFIGS, outcome

from toolkit.export.convert import convert
from toolkit.export.request import ConvertRequest
from toolkit.settings import Settings
from toolkit.sources import resolve

MIXERS = ["linear_attention", "hybrid", "linear_attention", "hybrid", "linear_attention"]


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A Zamba 2 whose two hybrid layers are one block, as in the published ones."""
    fields = json.loads((CONFIGS / "zamba2.json").read_text())
    fields |= {"num_hidden_layers": len(MIXERS), "layers_block_type": MIXERS, "num_mem_blocks": 1}
    (tmp_path / "zamba2-shared.json").write_text(json.dumps(fields))
    monkeypatch.setattr(conversions_of_families, "CONFIGS", tmp_path)
    return "zamba2-shared"


@pytest.mark.filterwarnings("ignore")
def test_logits_equal_transformers(shared: str, tmp_path: Path, settings: Settings) -> None:
    found = outcome(shared, "onnxruntime", tmp_path, settings)
    assert found.outcome == "converts", found


@pytest.mark.filterwarnings("ignore")
def test_the_judge_that_reads_weights_as_needed_agrees(
    shared: str, tmp_path: Path, settings: Settings
) -> None:
    source = resolve(f"random:{tmp_path / shared}.json", settings)
    request = ConvertRequest.of(model=source.name, quant="fp32", backend="onnxruntime")
    artifact = convert(source, request, tmp_path / "artifact", settings)
    assert artifact.manifest.parity is not None and artifact.manifest.parity.passed
