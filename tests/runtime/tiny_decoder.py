"""A two-layer decoder in ONNX, small enough to be computed again in NumPy.

The shape of a real one: grouped-query attention on a shared KV cache, rotary embedding, residuals,
logits of the last position. Variants: absolute positions through ``position_ids``, logits of every
position, half precision, no context length in the metadata.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[np.float32]
HEADS, KV_HEADS, HEAD_DIM, LAYERS, VOCAB = 4, 2, 16, 2, 331
HIDDEN = HEADS * HEAD_DIM


@dataclass(frozen=True)
class TinyDecoder:
    context_length: int | None = 1024
    position_ids: bool = False
    all_logits: bool = False
    half: bool = False
    weights: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        random = np.random.default_rng(7)

        def normal(*shape: int, scale: float) -> Array:
            return (random.standard_normal(shape) * scale).astype(np.float32)

        self.weights["embedding"] = normal(VOCAB, HIDDEN, scale=1.0)
        self.weights["positions"] = normal(1024, HIDDEN, scale=1.0)
        self.weights["head"] = normal(HIDDEN, VOCAB, scale=1.0)
        for layer in range(LAYERS):
            self.weights[f"q{layer}"] = normal(HIDDEN, HIDDEN, scale=0.2)
            self.weights[f"k{layer}"] = normal(HIDDEN, KV_HEADS * HEAD_DIM, scale=0.2)
            self.weights[f"v{layer}"] = normal(HIDDEN, KV_HEADS * HEAD_DIM, scale=0.2)
            self.weights[f"o{layer}"] = normal(HIDDEN, HIDDEN, scale=0.2)

    def greedy(self, prompt: list[int], count: int) -> list[int]:
        """The greedy continuation, by running everything again for every token; no KV cache at all."""
        tokens = list(prompt)
        for _ in range(count):
            tokens.append(int(np.argmax(self.logits(tokens))))
        return tokens[len(prompt) :]

    def logits(self, tokens: list[int]) -> Array:
        hidden = self.weights["embedding"][tokens]
        if self.position_ids:
            hidden = hidden + self.weights["positions"][: len(tokens)]
        for layer in range(LAYERS):
            q, k, v = (self._split(hidden @ self.weights[f"{name}{layer}"]) for name in "qkv")
            if not self.position_ids:
                q, k = self._rotate(q), self._rotate(k)
            k, v = (np.repeat(x, HEADS // KV_HEADS, axis=0) for x in (k, v))
            scores = q @ k.transpose(0, 2, 1) / np.sqrt(HEAD_DIM)
            scores = np.where(np.tril(np.ones(scores.shape[1:], bool)), scores, -np.inf)
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            attended = (scores / scores.sum(-1, keepdims=True)) @ v
            hidden = (
                hidden + attended.transpose(1, 0, 2).reshape(len(tokens), HIDDEN) @ self.weights[f"o{layer}"]
            )
        return np.asarray(hidden[-1] @ self.weights["head"], np.float32)

    @staticmethod
    def _split(x: Array) -> Array:
        return x.reshape(len(x), -1, HEAD_DIM).transpose(1, 0, 2)

    @staticmethod
    def _rotate(x: Array) -> Array:
        cos, sin = rotary_tables(x.shape[1])
        first, second = np.split(x, 2, axis=-1)
        return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)

    def save(self, path: Path) -> Path:
        """Write ``model.onnx`` with external data into the folder ``path``."""
        path.mkdir(parents=True, exist_ok=True)
        model = helper.make_model(
            self._graph(),
            opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)],
            ir_version=10,
        )
        if self.context_length is not None:
            helper.set_model_props(model, {"slm.context_length": str(self.context_length)})
        onnx.save_model(
            model,
            path / "model.onnx",
            save_as_external_data=True,
            location="model.onnx.data",
            size_threshold=1024,
        )
        return path

    def _graph(self) -> onnx.GraphProto:
        element = TensorProto.FLOAT16 if self.half else TensorProto.FLOAT
        dtype = np.float16 if self.half else np.float32
        cos, sin = rotary_tables(1024)
        constants = {
            name: value.astype(dtype) for name, value in {**self.weights, "cos": cos, "sin": sin}.items()
        }
        constants |= {
            "one": np.array(1, np.int64), "axis1": np.array([1], np.int64), "last": np.array([-1], np.int64),
            "column": np.array([1], np.int64), "scalar": np.array([], np.int64),
        }  # fmt: skip
        inputs = [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"]),
            helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "total"]),
        ]
        node = helper.make_node
        nodes = [
            node("ReduceSum", ["attention_mask", "axis1"], ["lengths64"], keepdims=0),
            node("Sub", ["lengths64", "one"], ["past64"]),
            node("Cast", ["past64"], ["seqlens_k"], to=TensorProto.INT32),
            node("Shape", ["attention_mask"], ["total64"], start=1, end=2),
            node("Reshape", ["total64", "scalar"], ["total_scalar"], allowzero=1),
            node("Cast", ["total_scalar"], ["total_length"], to=TensorProto.INT32),
            node("Gather", ["embedding", "input_ids"], ["hidden0"]),
        ]
        hidden = "hidden0"
        if self.position_ids:
            inputs.append(
                helper.make_tensor_value_info("position_ids", TensorProto.INT64, ["batch", "tokens"])
            )
            nodes += [
                node("Gather", ["positions", "position_ids"], ["positioned"]),
                node("Add", ["hidden0", "positioned"], ["hidden_p"]),
            ]
            hidden = "hidden_p"
        outputs = []
        for layer in range(LAYERS):
            cache = [1, KV_HEADS, "length", HEAD_DIM]
            pasts = [f"past_key_values.{layer}.{kind}" for kind in ("key", "value")]
            presents = [f"present.{layer}.{kind}" for kind in ("key", "value")]
            inputs += [helper.make_tensor_value_info(name, element, cache) for name in pasts]
            outputs += [helper.make_tensor_value_info(name, element, cache) for name in presents]
            tables = ["", ""] if self.position_ids else ["cos", "sin"]
            nodes += [node("MatMul", [hidden, f"{n}{layer}"], [f"{n}{layer}_out"]) for n in "qkv"]
            nodes += [
                node(
                    "GroupQueryAttention",
                    [*(f"{n}{layer}_out" for n in "qkv"), *pasts, "seqlens_k", "total_length", *tables],
                    [f"attended{layer}", *presents],
                    domain="com.microsoft",
                    num_heads=HEADS,
                    kv_num_heads=KV_HEADS,
                    do_rotary=0 if self.position_ids else 1,
                ),
                node("MatMul", [f"attended{layer}", f"o{layer}"], [f"projected{layer}"]),
                node("Add", [hidden, f"projected{layer}"], [f"hidden{layer + 1}"]),
            ]
            hidden = f"hidden{layer + 1}"
        if not self.all_logits:
            nodes.append(node("Gather", [hidden, "last"], ["last_hidden"], axis=1))
            hidden = "last_hidden"
        nodes.append(node("MatMul", [hidden, "head"], ["logits"]))
        rows = "tokens" if self.all_logits else 1
        outputs.insert(0, helper.make_tensor_value_info("logits", element, ["batch", rows, VOCAB]))
        used = {name for each in nodes for name in each.input}
        return helper.make_graph(
            nodes,
            "tiny",
            inputs,
            outputs,
            [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used],
        )


def rotary_tables(length: int) -> tuple[Array, Array]:
    """Cosines and sines, each [length, head_dim / 2]."""
    frequencies = 10000.0 ** (-np.arange(0, HEAD_DIM, 2) / HEAD_DIM)
    angles = np.arange(length)[:, None] * frequencies[None]
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
