"""The default preset protects values and the last way back in families that name and join them otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
from conversions_of_families import ENGINES, tiny_source

from toolkit.compress.schemes import SCHEMES
from toolkit.export.convert import convert
from toolkit.export.request import DEFAULT_QUANT, ConvertRequest
from toolkit.settings import Settings

# Config -> the matrices in 8 bits.
PROTECTED: dict[str, set[str]] = {
    "mixtral": {
        *(f"layers.{layer}.self_attn.v_proj.weight" for layer in range(3)),
        "layers.2.mlp.experts.down_proj",
    },
    # Attention in one layer, recurrences in the others.
    "bamba": {"layers.1.self_attn.v_proj.weight", "layers.2.feed_forward.down_proj.weight"},
    # Neither values nor feed-forwards.
    "mamba": set(),
}
# The operator of experts has integers of one size.
BOTH = {"onnxruntime": {"layers.2.mlp.experts.gate_up_proj"}}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", PROTECTED)
def test_values_and_the_last_way_back_have_8_bits(
    name: str, engine: str, tmp_path: Path, settings: Settings
) -> None:
    source = tiny_source(name, tmp_path, settings)
    request = ConvertRequest.of(model=source.name, backend=engine, parity_check=False)
    assert request.quant == DEFAULT_QUANT == "mobile-4bit"
    stored = convert(source, request, tmp_path / "out", settings).manifest.quantization
    eight = {
        matrix.removeprefix("model.").removeprefix("backbone.")
        for matrix, spec in stored.overrides.items()
        if SCHEMES.get(spec.scheme).weight_bits == 8
    }
    expected = PROTECTED[name] | (BOTH.get(engine, set()) if name == "mixtral" else set())
    assert eight == expected
