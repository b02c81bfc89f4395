"""Matrices of experts [experts, out, in] as initializers of onnxruntime's MoE and QMoE."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from toolkit.artifact import TensorQuantization
from toolkit.compress.experts import ExpertMatrices
from toolkit.compress.floats import stored_floats
from toolkit.compress.groups import PER_CHANNEL
from toolkit.compress.schemes import SCHEMES
from toolkit.compress.tensor import QuantizedTensor
from toolkit.export.onnx.builder import FLOAT
from toolkit.export.onnx.initializers import WeightStore
from toolkit.export.onnx.packing import pack_scales, pack_values, pack_zero_points

_SMALLEST_BLOCK = 16


@dataclass(frozen=True)
class StoredExperts:
    """Names and geometry of the initializers that hold one parameter of experts.

    Attributes:
        block_size: columns per scale; 0 for one scale per row.
        dynamic: activations are quantized to int8.
    """

    values: str
    scales: str
    zero_points: str
    bits: int
    block_size: int
    dynamic: bool


def float_experts(store: WeightStore, matrices: ExpertMatrices) -> str:
    """Unquantized, as a float32 value; fp16 is widened in the graph."""
    spec = matrices.spec(store.plan)
    scheme = SCHEMES.get(spec.scheme)
    array = stored_floats(matrices.read(store.weights), scheme, subject=matrices.name)
    name = store.builder.data.add(matrices.name, [array], array.shape)
    if scheme.float_dtype == "float16":
        name = store.builder.node("Cast", [name], to=FLOAT, hint=matrices.name)[0]
    store.written(matrices.name, spec, "linear")
    return name


def quantized_experts(
    store: WeightStore, up: ExpertMatrices, down: ExpertMatrices
) -> tuple[StoredExperts, StoredExperts] | None:
    """Both parameters of one QMoE as integers with blocks of one size; None where one keeps floats."""
    pair = (up, down)
    specs = [matrices.spec(store.plan) for matrices in pair]
    if not all(SCHEMES.get(spec.scheme).quantized for spec in specs):
        return None
    # Where one width allows no groups of 4 bits, both have bytes: the operator has one size of integers.
    widest = max(specs, key=lambda spec: SCHEMES.get(spec.scheme).weight_bits)
    if len({SCHEMES.get(spec.scheme).weight_bits for spec in specs}) > 1:
        specs = [widest, widest]
    if len({SCHEMES.get(spec.scheme).dynamic_activation for spec in specs}) > 1:
        specs = [spec.model_copy(update={"scheme": _dynamic(spec)}) for spec in specs]
    tensors = [matrices.quantized(store.weights, spec) for matrices, spec in zip(pair, specs, strict=True)]
    block = math.gcd(*(tensor.group_size for tensor in tensors))
    block = block & -block
    if all(spec.group_size == PER_CHANNEL and spec.symmetric for spec in specs):
        block = 0
    elif block < _SMALLEST_BLOCK:
        # The operator has one size of blocks for both, and both must be multiples of it.
        specs = [spec.model_copy(update={"group_size": PER_CHANNEL, "symmetric": True}) for spec in specs]
        tensors = [
            matrices.quantized(store.weights, spec) for matrices, spec in zip(pair, specs, strict=True)
        ]
        block = 0
    first, second = (
        _write(store, matrices, spec, tensor, block)
        for matrices, spec, tensor in zip(pair, specs, tensors, strict=True)
    )
    return first, second


def _write(
    store: WeightStore,
    matrices: ExpertMatrices,
    spec: TensorQuantization,
    tensor: QuantizedTensor,
    block: int,
) -> StoredExperts:
    data, name = store.builder.data, matrices.name
    rows, columns = tensor.shape
    experts = store.weights.read(name).shape[0]
    each = rows // experts
    if block:
        tensor = _in_blocks(tensor, block)
    # QMoE takes rows as long as the model's; blocks divide them.
    packed_values = pack_values(tensor, padded=False)
    values = data.add(f"{name}.values", [packed_values], (experts, each, columns * tensor.bits // 8))
    scales = pack_scales(tensor) if block else tensor.scales.numpy()
    shape = (experts, each, columns // block) if block else (experts, each)
    stored = data.add(f"{name}.scales.half", [scales], shape)
    if scales.dtype == np.float16:
        stored = store.builder.node("Cast", [stored], to=FLOAT, hint=name)[0]
    packed = pack_zero_points(tensor)
    zeros = ""
    if packed is not None:
        zeros = data.add(f"{name}.zero_points", [packed], (experts, each, packed.shape[1]))
    dynamic = SCHEMES.get(spec.scheme).dynamic_activation
    if block and tensor.bits == 8:
        # The operator has no other kernel for blocks of bytes.
        spec = spec.model_copy(update={"scheme": _dynamic(spec)})
    if not block:
        # One scale per row is widened to floats.
        spec = spec.model_copy(update={"scheme": SCHEMES.get(spec.scheme).weight_only.name})
    store.written(name, spec, "linear")
    return StoredExperts(values, stored, zeros, tensor.bits, block, dynamic)


def _in_blocks(tensor: QuantizedTensor, block: int) -> QuantizedTensor:
    """The same integers, with a group's scale once for each of its blocks."""
    repeats = tensor.group_size // block
    return QuantizedTensor(
        values=tensor.values,
        scales=tensor.scales.repeat_interleave(repeats, 1),
        zero_points=tensor.zero_points.repeat_interleave(repeats, 1),
        bits=tensor.bits,
        group_size=block,
        symmetric=tensor.symmetric,
    )


def _dynamic(spec: TensorQuantization) -> str:
    scheme = SCHEMES.get(spec.scheme)
    return (scheme.dynamic or scheme).name
