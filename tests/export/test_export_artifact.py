"""What the artifact's model file looks like, and that the official runtime takes it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from conversions import Convert
from official_runtime import genai_greedy
from transformers import AutoConfig, AutoModelForCausalLM

from toolkit.artifact import Artifact
from toolkit.errors import SourceNotFound
from toolkit.export.onnx.genai_config import write_genai_config
from toolkit.models.catalogue.catalogue import shipped
from toolkit.settings import Settings
from toolkit.sources import ModelSource, resolve


def operators(artifact: Artifact) -> Counter[str]:
    model = onnx.load(artifact.path / "model.onnx", load_external_data=False)
    return Counter(node.op_type for node in model.graph.node)


def test_llama_is_fully_fused(convert_model: Convert) -> None:
    artifact = convert_model("random:llama-tiny", "8da4w")
    layers = len(artifact.manifest.architecture.layers)
    assert operators(artifact) == {
        "GatherBlockQuantized": 1,
        "SimplifiedLayerNormalization": 1,
        "SkipSimplifiedLayerNormalization": 2 * layers,
        # qkv, o, gate+up, down; and the lm_head.
        "MatMulNBits": 4 * layers + 1,
        "GroupQueryAttention": layers,
        "Split": layers,
        "QuickGelu": layers,
        "Mul": layers,
        "Shape": 1,
        # One for the sequence length; the scales' are folded when the model is loaded.
        "Cast": 1 + 4 * layers + 1,
        "Sub": 1,
        "Gather": 1,
        "Identity": 1,
    }


@pytest.mark.parametrize("model_type", ["llama", "qwen2", "gemma3", "gpt2"])
def test_four_bit_artifact_holds_no_float_copy_of_a_matrix(model_type: str, convert_model: Convert) -> None:
    artifact = convert_model(f"random:{model_type}-tiny", "8da4w")
    model = onnx.load(artifact.path / "model.onnx", load_external_data=False)
    floats = {
        tensor.name: list(tensor.dims)
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1
    }
    vocabulary = artifact.manifest.architecture.vocab_size
    hidden = artifact.manifest.architecture.hidden_size
    assert [vocabulary, hidden] not in floats.values() and [hidden, vocabulary] not in floats.values()
    allowed = ("scales", "cos", "sin", "wpe.weight")
    assert not [name for name in floats if not name.endswith(allowed)]


def test_the_manifest_tells_the_work_of_a_token(convert_model: Convert) -> None:
    work = convert_model("random:llama-tiny", "fp32").manifest.work
    fields = shipped()["llama-tiny"].config
    assert work is not None and fields is not None
    with torch.device("meta"):
        original = AutoModelForCausalLM.from_config(AutoConfig.for_model(**fields))
    linears = sum(one.numel() for name, one in original.named_parameters() if "_proj" in name)
    assert work.prefill_flops_per_token == 2 * linears
    # The vocabulary is tied: a step multiplies with it once.
    assert work.decode_weights_bytes == pytest.approx(4 * original.num_parameters(), rel=0.02)


def test_tied_vocabulary_is_stored_once(convert_model: Convert) -> None:
    artifact = convert_model("random:llama-tiny", "8da4w")
    assert artifact.manifest.architecture.tied_embeddings
    model = onnx.load(artifact.path / "model.onnx", load_external_data=False)
    places: dict[str, set[tuple[str, str]]] = {}
    for tensor in model.graph.initializer:
        if "embed_tokens" in tensor.name and tensor.external_data:
            place = {entry.key: entry.value for entry in tensor.external_data}
            kind = tensor.name.split("#")[0]
            places.setdefault(kind, set()).add((place["offset"], place["length"]))
    assert places and all(len(where) == 1 for where in places.values())


def test_logits_are_the_last_positions_unless_all_are_asked_for(
    convert_model: Convert, tmp_path: Path
) -> None:
    def logits_shape(artifact: Artifact) -> list[str | int]:
        model = onnx.load(artifact.path / "model.onnx", load_external_data=False)
        [logits] = [output for output in model.graph.output if output.name == "logits"]
        return [dim.dim_param or dim.dim_value for dim in logits.type.tensor_type.shape.dim]

    last = convert_model("random:llama-tiny", output=tmp_path / "last")
    every = convert_model("random:llama-tiny", logits="all", output=tmp_path / "all")
    vocabulary = last.manifest.architecture.vocab_size
    assert logits_shape(last) == [1, 1, vocabulary]
    assert logits_shape(every) == [1, "sequence_length", vocabulary]


@pytest.mark.parametrize("scheme", ["fp16", "8w", "4w"])
def test_weight_only_schemes_keep_float_activations(scheme: str, convert_model: Convert) -> None:
    artifact = convert_model("random:qwen3-tiny", scheme)
    model = onnx.load(artifact.path / "model.onnx", load_external_data=False)
    levels = {
        attribute.i
        for node in model.graph.node
        if node.op_type == "MatMulNBits"
        for attribute in node.attribute
        if attribute.name == "accuracy_level"
    }
    assert levels == (set() if scheme == "fp16" else {0})


@pytest.mark.parametrize("group_size", [0, 16, 64])
@pytest.mark.parametrize("symmetric", [True, False])
def test_group_sizes_and_zero_points_reach_the_engine(
    group_size: int, symmetric: bool, convert_model: Convert
) -> None:
    parity = convert_model(
        "random:llama-tiny", "8w", group_size=group_size, symmetric=symmetric, algorithm="rtn"
    ).manifest.parity
    assert parity is not None and parity.mean_kl < 0.01


@pytest.mark.parametrize("model", ["random:llama-tiny", "random:gemma3-tiny", "random:gpt2-tiny"])
def test_onnxruntime_genai_loads_the_folder_and_generates_the_same_tokens(
    model: str, convert_model: Convert
) -> None:
    artifact = convert_model(model, "8da4w")
    assert genai_greedy(artifact) == artifact.manifest.greedy_reference.token_ids


@pytest.fixture(scope="module")
def smollm2() -> ModelSource:
    """The demo model, in the user's own cache: 98 MB are downloaded once, not once per test run."""
    try:
        return resolve("SmolLM2-135M-Instruct", Settings.from_environment())
    except SourceNotFound as error:
        pytest.skip(f"the demo model cannot be had: {error.what}")


def test_smollm2_generates_the_same_32_tokens_in_genai(smollm2: ModelSource, convert_model: Convert) -> None:
    artifact = convert_model(smollm2, "8da4w")
    greedy = artifact.manifest.greedy_reference
    assert greedy is not None
    assert len(greedy.token_ids) == 32
    assert genai_greedy(artifact) == greedy.token_ids


def test_blocks_of_a_gguf_are_carried_over_exactly(smollm2: ModelSource, convert_model: Convert) -> None:
    artifact = convert_model(smollm2, "source")
    name = "model.layers.3.mlp.down_proj.weight"
    model = onnx.load(artifact.path / "model.onnx")
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    packed, scales = held[f"{name}.values"], held[f"{name}.scales.half"].astype(np.float32)
    offsets = held[f"{name}.zero_points"]
    values = np.stack([packed & 15, packed >> 4], axis=-1).reshape(*scales.shape, -1).astype(np.float32)
    restored = ((values - offsets[..., None]) * scales[..., None]).reshape(scales.shape[0], -1)
    torch.testing.assert_close(torch.from_numpy(restored), smollm2.weights.read(name), atol=1e-6, rtol=1e-6)
    assert artifact.manifest.quantization.linear.algorithm == "source"


def test_the_preset_keeps_a_ggufs_linears_and_stays_close_to_it(
    smollm2: ModelSource, convert_model: Convert
) -> None:
    artifact = convert_model(smollm2, "mobile-4bit")
    quantization, parity = artifact.manifest.quantization, artifact.manifest.parity
    assert quantization.linear.algorithm == "source" and quantization.embedding.algorithm == "hqq"
    assert artifact.manifest.size_bytes <= 92e6
    assert parity is not None and parity.mean_kl < 0.1, "twice quantized linears diverge by 0.3"
    assert genai_greedy(artifact) == artifact.manifest.greedy_reference.token_ids


def test_per_channel_scales_work_on_rows_longer_than_a_block(convert_model: Convert, tmp_path: Path) -> None:
    config = dict(shipped()["llama-tiny"].config or {})
    config.update(hidden_size=320, intermediate_size=576, head_dim=32, num_attention_heads=10)
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_key_value_heads": 5}))
    parity = convert_model(f"random:{tmp_path / 'config.json'}", "8da8w", group_size=0).manifest.parity
    assert parity is not None and parity.mean_kl < 0.01


def test_genai_config_names_the_graphs_inputs(convert_model: Convert) -> None:
    for model, has_positions in (("random:gpt2-tiny", True), ("random:llama-tiny", False)):
        artifact = convert_model(model)
        config = json.loads((artifact.path / "genai_config.json").read_text())
        assert ("position_ids" in config["model"]["decoder"]["inputs"]) is has_positions


def test_genai_config_names_no_first_token_of_a_model_without(convert_model: Convert, tmp_path: Path) -> None:
    artifact = convert_model("random:llama-tiny")
    for tokens, bos in (({"eos_token_id": [2]}, -1), ({"bos_token_id": 0, "eos_token_id": 2}, 0), ({}, -1)):
        write_genai_config(
            tmp_path,
            artifact.manifest.architecture,
            context_length=64,
            has_position_ids=False,
            tokens=tokens,
        )
        ids = json.loads((tmp_path / "genai_config.json").read_text())["model"]
        assert ids["bos_token_id"] == bos and ids["eos_token_id"] == tokens.get("eos_token_id", [])
