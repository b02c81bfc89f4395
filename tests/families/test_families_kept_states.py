"""What files keep of each token, in families that share caches or compress them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from conversions_of_families import ENGINES, tiny_source
from transformers import AutoModelForCausalLM

from toolkit.capture.description import describe
from toolkit.capture.graph import SEQUENCE, DecoderGraph, Op, Ref
from toolkit.compress.plan import plan_from_flags
from toolkit.export.convert import convert
from toolkit.export.lowering import LoweringJob
from toolkit.export.onnx.export import write_onnx
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
        assert _inputs(artifact.path) == [f"past_key_values.{state}" for state in KEPT[name]]
    else:
        assert _kept_bytes(artifact.path) == [states_bytes(layers, context)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("engine", ENGINES)
def test_the_manifest_tells_of_the_matrix_that_expands_rows(
    engine: str, tmp_path: Path, settings: Settings
) -> None:
    source = tiny_source("minicpm3", tmp_path, settings)
    request = ConvertRequest.of(model=source.name, quant="8da4w", backend=engine, parity_check=False)
    manifest = convert(source, request, tmp_path / "artifact", settings).manifest
    assert manifest.quantization.linear.scheme == "8da4w"
    overrides = {name: spec.scheme for name, spec in manifest.quantization.overrides.items()}
    assert overrides == {f"model.layers.{layer}.self_attn.kv_b_proj.weight": "fp32" for layer in range(3)}
    # Multiplied by halves with queries and results: as many products as the model's own linear makes.
    with torch.device("meta"):
        original = AutoModelForCausalLM.from_config(source.config)
    linears = sum(one.numel() for name, one in original.named_parameters() if "_proj" in name)
    assert manifest.work is not None and manifest.work.prefill_flops_per_token == 2 * linears


def _inputs(folder: Path) -> list[str]:
    graph = onnx.load(folder / "model.onnx", load_external_data=False).graph
    return [one.name for one in graph.input if one.name.startswith("past_key_values.")]


def _kept_bytes(folder: Path) -> list[int]:
    from executorch.exir._serialize._program import deserialize_pte_binary

    program = deserialize_pte_binary((folder / "model.pte").read_bytes())
    [plan] = [plan for plan in program.program.execution_plan if plan.name == "forward"]
    # Behind constants and activations.
    sizes: list[int] = plan.non_const_buffer_sizes[2:]
    return sizes


TOKENS, HEADS, KV_HEADS, HEAD_DIM, CONTEXT = 8, 4, 2, 8, 16


def _keys_as_values() -> DecoderGraph:
    """One attention whose values are its keys, neither of them compressed."""
    width = HEADS * HEAD_DIM
    parameters = {
        "table": (TOKENS, width),
        "q": (width, width),
        "k": (KV_HEADS * HEAD_DIM, width),
        "head": (TOKENS, width),
    }
    module = "layers.0.attention"

    def op(name: str, target: str, args: tuple[Any, ...], *shape: int | str) -> Op:
        return Op(name, target, args, {}, (1, *shape), "float32", module)

    ops = [op("embedded", "aten.embedding", (Ref("table"), Ref("input_ids")), SEQUENCE, width)]
    for name, heads in (("q", HEADS), ("k", KV_HEADS)):
        split = (1, SEQUENCE, heads, HEAD_DIM)
        ops += [
            op(f"{name}.flat", "aten.linear", (Ref("embedded"), Ref(name)), SEQUENCE, heads * HEAD_DIM),
            op(f"{name}.split", "aten.view", (Ref(f"{name}.flat"), split), *split[1:]),
            op(f"{name}.heads", "aten.transpose", (Ref(f"{name}.split"), 1, 2), heads, SEQUENCE, HEAD_DIM),
        ]
    operands = (Ref("q.heads"), Ref("k.heads"), Ref("k.heads"), 0, HEAD_DIM**-0.5, 0, 0.0, None, 0)
    ops += [
        op("attended", "slm.attention", operands, SEQUENCE, HEADS, HEAD_DIM),
        op("joined", "aten.view", (Ref("attended"), (1, SEQUENCE, width)), SEQUENCE, width),
        op("logits", "aten.linear", (Ref("joined"), Ref("head")), SEQUENCE, TOKENS),
    ]
    return DecoderGraph(tuple(ops), parameters, {}, "logits")


def _job(graph: DecoderGraph, weights: Mapping[str, torch.Tensor]) -> LoweringJob:
    return LoweringJob(
        name="keys-as-values",
        config=None,
        graph=graph,
        layers=describe(graph),
        weights=SimpleNamespace(read=weights.__getitem__, read_blocks=lambda name: None),
        calibrated={},
        plan=plan_from_flags("fp32", tied=False),
        rope_tables=lambda name: pytest.fail(name),
        position_tables=lambda name: pytest.fail(name),
        tied={},
        all_logits=True,
        context_length=CONTEXT,
        opset=21,
        tokens={},
    )


@pytest.mark.filterwarnings("ignore")
def test_keys_that_are_values_as_well_are_not_taken_for_compressed_rows(tmp_path: Path) -> None:
    graph, generator = _keys_as_values(), torch.Generator().manual_seed(0)
    weights = {name: torch.randn(shape, generator=generator) for name, shape in graph.parameters.items()}
    job = _job(graph, weights)
    write_onnx(tmp_path, job)
    assert _inputs(tmp_path) == ["past_key_values.0.key", "past_key_values.0.value"]

    tokens = torch.tensor([[3, 1, 7, 7, 0]])
    states = weights["table"][tokens]
    query, key = (
        (states @ weights[name].T).view(1, 5, heads, HEAD_DIM).transpose(1, 2)
        for name, heads in (("q", HEADS), ("k", KV_HEADS))
    )
    attended = torch.nn.functional.scaled_dot_product_attention(
        query, key, key, is_causal=True, enable_gqa=True
    )
    expected = attended.transpose(1, 2).flatten(2) @ weights["head"].T
    nothing = np.zeros((1, KV_HEADS, 0, HEAD_DIM), np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    [logits] = session.run(
        ["logits"],
        {
            "input_ids": tokens.numpy(),
            "attention_mask": np.ones((1, 5), np.int64),
            **dict.fromkeys(_inputs(tmp_path), nothing),
        },
    )
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-4)

    pytest.importorskip("executorch", reason="the extra [executorch] is not installed")
    from toolkit.export.executorch.export import write_executorch

    write_executorch(tmp_path, job, metadata={})
    assert _kept_bytes(tmp_path) == [2 * KV_HEADS * HEAD_DIM * CONTEXT * 4]
