"""The program holds the very integers and scales that the ONNX model holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx
import pytest
import torch
from executorch.exir._serialize._program import deserialize_pte_binary
from numpy.typing import NDArray
from onnx import numpy_helper

from toolkit.artifact import Artifact
from toolkit.errors import SourceNotFound
from toolkit.models.layers import attention_of
from toolkit.settings import Settings
from toolkit.sources.demo_wheel import DEMO

Integers = dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]]


def onnx_matrices(artifact: Artifact) -> Integers:
    """Signed integers [rows, columns] and scales [rows, groups] of every quantized matrix, by name."""
    model = onnx.load(artifact.path / "model.onnx")
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found: Integers = {}
    for node in model.graph.node:
        if node.op_type != "MatMulNBits":
            continue
        attributes = {item.name: item.i for item in node.attribute}
        stem = node.input[1].removesuffix(".values")
        packed = arrays[f"{stem}.values"].reshape(attributes["N"], -1)
        if attributes["bits"] == 4:
            packed = np.stack([packed & 15, packed >> 4], axis=-1).reshape(attributes["N"], -1)
        values = packed[:, : attributes["K"]].astype(np.int64) - 2 ** (attributes["bits"] - 1)
        scales = arrays.get(f"{stem}.scales", arrays.get(f"{stem}.scales.half")).astype(np.float32)
        start = 0
        for name, rows in _rows(artifact, stem.split("+")):
            found[name] = values[start : start + rows], scales[start : start + rows]
            start += rows
    return found


def _rows(artifact: Artifact, names: list[str]) -> Iterator[tuple[str, int]]:
    facts = artifact.manifest.architecture
    attention, feed_forward = attention_of(facts.layers)[0], facts.layers[0].feed_forward
    assert feed_forward is not None
    sizes = {
        "q_proj": attention.heads * attention.head_dim,
        "k_proj": attention.kv_heads * attention.head_dim,
        "v_proj": attention.kv_heads * attention.head_dim,
        "gate_proj": feed_forward.intermediate_size or 0,
        "up_proj": feed_forward.intermediate_size or 0,
    }
    for name in names:
        kind = name.split(".")[-2]
        yield name, sizes.get(kind, facts.vocab_size if "embed" in name else facts.hidden_size)


def program_matrices(artifact: Artifact, columns: dict[str, int]) -> Integers:
    """The same out of the .pte's named data."""
    file = deserialize_pte_binary((artifact.path / "model.pte").read_bytes())
    named = file.named_data
    assert named is not None
    stored = {key: named.buffers[entry.buffer_index] for key, entry in named.pte_data.items()}
    found: Integers = {}
    for name, width in columns.items():
        content, scales = bytes(stored[name]), bytes(stored[f"scale_{name}"])
        raw = np.frombuffer(content, np.uint8)
        if artifact.manifest.quantization.linear.scheme.endswith("4w"):
            # A shared token table keeps the order of the embedding kernel: the first column is the high half.
            halves = (raw >> 4, raw & 15) if "embed_tokens" in name else (raw & 15, raw >> 4)
            values = np.stack(halves, axis=-1).reshape(-1, width).astype(np.int64) - 8
            wide = torch.frombuffer(bytearray(scales), dtype=torch.bfloat16).float().numpy()
        else:
            values = raw.view(np.int8).reshape(-1, width).astype(np.int64)
            wide = np.frombuffer(scales, np.float32)
        found[name] = values, wide.reshape(len(values), -1)
    return found


@pytest.mark.parametrize("quant", ["8da4w", "8da8w"])
def test_both_backends_hold_the_same_integers_and_scales(
    quant: str, convert_model: Callable[..., Artifact]
) -> None:
    theirs = onnx_matrices(convert_model("random:llama-tiny", quant, "onnxruntime"))
    artifact = convert_model("random:llama-tiny", quant)
    columns = {name: values.shape[1] for name, (values, _) in theirs.items()}
    ours = program_matrices(artifact, columns)
    assert len(ours) == 7 * len(artifact.manifest.architecture.layers) + 1
    for name, (values, scales) in theirs.items():
        np.testing.assert_array_equal(ours[name][0], values, err_msg=name)
        if quant == "8da4w":
            # XNNPACK keeps scales of groups in bfloat16: 8 bits of mantissa.
            np.testing.assert_allclose(ours[name][1], scales, rtol=2**-8, err_msg=name)
        else:
            # Per-channel scales are repeated for each block that onnxruntime cuts a row into.
            assert all((column == scales[:, 0]).all() for column in scales.T)
            np.testing.assert_array_equal(ours[name][1][:, 0], scales[:, 0], err_msg=name)


def test_asymmetric_groups_are_the_same_integers_and_scales_too(
    convert_model: Callable[..., Artifact],
) -> None:
    theirs = onnx_matrices(convert_model("random:llama-tiny", "mobile-4bit", "onnxruntime"))
    artifact = convert_model("random:llama-tiny", "mobile-4bit")
    assert not artifact.manifest.quantization.linear.symmetric
    names = [name for name in theirs if name.split(".")[-2] in ("q_proj", "o_proj", "gate_proj")]
    ours = program_matrices(artifact, {name: theirs[name][0].shape[1] for name in names})
    assert ours
    for name, (values, scales) in ours.items():
        np.testing.assert_array_equal(values, theirs[name][0], err_msg=name)
        np.testing.assert_allclose(scales, theirs[name][1], rtol=2**-8, err_msg=name)


@pytest.mark.parametrize("quant", ["fp32", "8da8w", "8da4w"])
def test_a_tied_vocabulary_is_stored_once(quant: str, convert_model: Callable[..., Artifact]) -> None:
    artifact = convert_model("random:llama-tiny", quant)
    facts = artifact.manifest.architecture
    assert facts.tied_embeddings
    file = deserialize_pte_binary((artifact.path / "model.pte").read_bytes())
    assert file.named_data is not None
    entry = file.named_data.pte_data["model.embed_tokens.weight"]
    vocabulary = bytes(file.named_data.buffers[entry.buffer_index])
    bits = {"fp32": 32, "8da8w": 8, "8da4w": 4}[quant]
    assert len(vocabulary) == facts.vocab_size * facts.hidden_size * bits // 8
    content = (artifact.path / "model.pte").read_bytes()
    assert content.count(vocabulary) == 1


def test_manifest_says_what_was_stored(convert_model: Callable[..., Artifact]) -> None:
    stored = convert_model("random:llama-tiny", "mobile-4bit").manifest.quantization
    assert (stored.linear.scheme, stored.linear.group_size, stored.linear.symmetric) == ("8da4w", 32, False)
    assert {(spec.scheme, spec.group_size) for spec in stored.overrides.values()} == {("8da8w", 0)}
    assert (stored.lm_head.scheme, stored.embedding.scheme) == ("8da8w", "8w")
    assert all(spec.positive_scales for spec in stored.overrides.values())


def test_the_preset_keeps_a_ggufs_linears_and_stays_close_to_it(
    convert_model: Callable[..., Artifact],
) -> None:
    try:
        source = DEMO.open(Settings.from_environment())
    except SourceNotFound as error:
        pytest.skip(f"the demo model cannot be had: {error.what}")
    artifact = convert_model(source, "mobile-4bit")
    parity = artifact.manifest.parity
    assert artifact.manifest.quantization.linear.algorithm == "source"
    assert artifact.manifest.size_bytes <= 100e6
    assert parity is not None and parity.mean_kl < 0.05, "twice quantized linears diverge by 0.4"
    name = "model.layers.3.mlp.down_proj.weight"
    blocks = source.weights.read_blocks(name)
    assert blocks is not None
    [(values, scales)] = program_matrices(artifact, {name: blocks.shape[1]}).values()
    np.testing.assert_array_equal(values + 8, blocks.values.numpy())
    np.testing.assert_allclose(scales, blocks.scales.numpy(), rtol=2**-8)
