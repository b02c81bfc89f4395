"""The program holds the very integers and scales that the ONNX model holds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import onnx
import pytest
import torch
from executorch.exir._serialize._program import deserialize_pte_binary
from numpy.typing import NDArray
from onnx import numpy_helper

from toolkit.artifact import Artifact

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
    sizes = {
        "q_proj": facts.heads * facts.head_dim,
        "k_proj": facts.kv_heads * facts.head_dim,
        "v_proj": facts.kv_heads * facts.head_dim,
        "gate_proj": facts.intermediate_size or 0,
        "up_proj": facts.intermediate_size or 0,
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
            values = np.stack([raw & 15, raw >> 4], axis=-1).reshape(-1, width).astype(np.int64) - 8
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
    assert len(ours) == 7 * artifact.manifest.architecture.layers + 1
    for name, (values, scales) in theirs.items():
        np.testing.assert_array_equal(ours[name][0], values, err_msg=name)
        if quant == "8da4w":
            # XNNPACK keeps scales of groups in bfloat16: 8 bits of mantissa.
            np.testing.assert_allclose(ours[name][1], scales, rtol=2**-8, err_msg=name)
        else:
            # Per-channel scales are repeated for each block that onnxruntime cuts a row into.
            assert all((column == scales[:, 0]).all() for column in scales.T)
            np.testing.assert_array_equal(ours[name][1][:, 0], scales[:, 0], err_msg=name)


def test_a_tied_vocabulary_is_counted_twice(convert_model: Callable[..., Artifact]) -> None:
    facts = convert_model("random:llama-tiny", "8da4w").manifest.architecture
    assert facts.tied_embeddings
    assert facts.stored_parameters == facts.unique_parameters + facts.vocab_size * facts.hidden_size


def test_manifest_says_what_was_stored(convert_model: Callable[..., Artifact]) -> None:
    stored = convert_model("random:llama-tiny", "mobile-4bit").manifest.quantization
    assert (stored.linear.scheme, stored.linear.group_size, stored.linear.symmetric) == ("8da4w", 32, True)
    assert {(spec.scheme, spec.group_size) for spec in stored.overrides.values()} == {("8da8w", 0)}
    assert stored.lm_head.group_size == stored.embedding.group_size == 32
    assert all(spec.positive_scales for spec in itertools.chain([stored.linear], stored.overrides.values()))
