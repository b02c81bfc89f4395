"""What files keep of each token, in families that share caches or compress them."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from conversions_of_families import ENGINES, tiny_source

from toolkit.export.convert import convert
from toolkit.export.request import ConvertRequest
from toolkit.models.layers import states_bytes, states_of
from toolkit.settings import Settings

# Floats for each token, as the configs have it.
KEPT = {
    # Two of four layers keep two heads' keys and values, 64 wide with a window and 512 without.
    "gemma4_text-shared": {"0.key": 2 * 64, "0.value": 2 * 64, "1.key": 2 * 512, "1.value": 2 * 512},
    # kv_lora_rank and qk_rope_head_dim, whatever the number of heads.
    "minicpm3": {f"{layer}.latent": 32 + 16 for layer in range(3)},
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", KEPT)
def test_a_file_keeps_what_its_layers_are_said_to(
    name: str, engine: str, tmp_path: Path, settings: Settings
) -> None:
    source = tiny_source(name, tmp_path, settings)
    request = ConvertRequest.of(model=source.name, quant="fp32", backend=engine, parity_check=False)
    artifact = convert(source, request, tmp_path / "artifact", settings)
    layers, context = artifact.manifest.architecture.layers, artifact.manifest.context_length
    assert {state.name: state.size_bytes(1) for state in states_of(layers)} == {
        state: 4 * floats for state, floats in KEPT[name].items()
    }
    if engine == "onnxruntime":
        graph = onnx.load(artifact.path / "model.onnx", load_external_data=False).graph
        kept = [one.name for one in graph.input if one.name.startswith("past_key_values.")]
        assert kept == [f"past_key_values.{state}" for state in KEPT[name]]
    else:
        from executorch.exir._serialize._program import deserialize_pte_binary

        program = deserialize_pte_binary((artifact.path / "model.pte").read_bytes())
        [plan] = [plan for plan in program.program.execution_plan if plan.name == "forward"]
        # Behind constants and activations.
        assert plan.non_const_buffer_sizes[2:] == [states_bytes(layers, context)]
