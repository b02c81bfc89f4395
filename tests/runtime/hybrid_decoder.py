"""A decoder in ONNX that keeps every kind of state, small enough to be computed again in NumPy.

Two attentions of unlike form, a convolution, a recurrence, the token before in half precision, a count of
tokens, and rows of bytes that are appended for each token.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]
HIDDEN, VOCAB, WIDTH, LATENT, PERIOD = 32, 97, 4, 8, 3
DECAY = 0.75
# heads, kv_heads, head_dim
ATTENTIONS = {0: (2, 1, 16), 4: (4, 2, 32)}
FLOAT, HALF, INT64, INT8 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64, TensorProto.INT8
# name -> type, shape; None is the text.
STATES: dict[str, tuple[int, list[int | None]]] = {
    "0.key": (FLOAT, [1, 1, None, 16]),
    "0.value": (FLOAT, [1, 1, None, 16]),
    "1.convolution": (FLOAT, [1, HIDDEN, WIDTH - 1]),
    "2.recurrence": (FLOAT, [1, 2, HIDDEN // 2]),
    "2.before": (HALF, [1, HIDDEN]),
    "2.count": (INT64, [1]),
    "3.latent": (INT8, [1, None, LATENT]),
    "4.key": (FLOAT, [1, 2, None, 32]),
    "4.value": (FLOAT, [1, 2, None, 32]),
}


class HybridDecoder:
    """Random weights; layers 0 .. 4 each add what they make of the hidden states."""

    def __init__(self) -> None:
        random = np.random.default_rng(11)

        def normal(*shape: int, scale: float = 0.3) -> Array:
            return (random.standard_normal(shape) * scale).astype(np.float32)

        self.weights = {
            "embedding": normal(VOCAB, HIDDEN, scale=1.0),
            "filter": normal(HIDDEN, 1, WIDTH),
            "table": normal(PERIOD, HIDDEN, scale=0.5),
            "to_latent": normal(HIDDEN, LATENT),
            "to_query": normal(HIDDEN, LATENT),
            "from_latent": normal(LATENT, HIDDEN),
            "head": normal(HIDDEN, VOCAB, scale=1.0),
        }
        for layer, (heads, kv_heads, dim) in ATTENTIONS.items():
            self.weights[f"q{layer}"] = normal(HIDDEN, heads * dim)
            self.weights[f"k{layer}"] = normal(HIDDEN, kv_heads * dim)
            self.weights[f"v{layer}"] = normal(HIDDEN, kv_heads * dim)
            self.weights[f"o{layer}"] = normal(heads * dim, HIDDEN, scale=0.2)

    def greedy(self, prompt: list[int], count: int) -> list[int]:
        """The greedy continuation, by running everything again for every token; nothing is kept."""
        tokens = list(prompt)
        for _ in range(count):
            tokens.append(int(np.argmax(self.logits(tokens))))
        return tokens[len(prompt) :]

    def logits(self, tokens: list[int]) -> Array:
        weights, count = self.weights, len(tokens)
        x = weights["embedding"][tokens]
        x = x + self._attend(x, 0)
        padded = np.concatenate([np.zeros((WIDTH - 1, HIDDEN), np.float32), x])
        x = x + sum(padded[at : at + count] * weights["filter"][:, 0, at] for at in range(WIDTH))
        sums, state = np.zeros_like(x), np.zeros(HIDDEN, np.float32)
        for at in range(count):
            state = sums[at] = np.float32(DECAY) * state + x[at]
        before = np.concatenate([np.zeros((1, HIDDEN), np.float32), x[:-1]]).astype(np.float16)
        x = x + sums + before.astype(np.float32) + weights["table"][np.arange(count) % PERIOD]
        latents = np.clip(np.rint(x @ weights["to_latent"] * 8), -127, 127).astype(np.int8)
        latents = latents.astype(np.float32) / 8
        scores = np.where(np.tri(count, dtype=bool), x @ weights["to_query"] @ latents.T, -1e9)
        x = x + _softmax(scores) @ latents @ weights["from_latent"]
        x = x + self._attend(x, 4)
        return np.asarray(x[-1] @ weights["head"], np.float32)

    def _attend(self, x: Array, layer: int) -> Array:
        heads, kv_heads, dim = ATTENTIONS[layer]
        q, k, v = ((x @ self.weights[f"{n}{layer}"]).reshape(len(x), -1, dim).swapaxes(0, 1) for n in "qkv")
        k, v = (np.repeat(each, heads // kv_heads, axis=0) for each in (k, v))
        scores = np.where(np.tri(len(x), dtype=bool), q @ k.swapaxes(1, 2) / np.sqrt(dim), -np.inf)
        attended = (_softmax(scores) @ v).swapaxes(0, 1).reshape(len(x), heads * dim)
        return np.asarray(attended @ self.weights[f"o{layer}"])

    def save(self, path: Path) -> Path:
        """Write ``model.onnx`` into the folder ``path``."""
        path.mkdir(parents=True)
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(self._graph(), opset_imports=opsets, ir_version=10)
        helper.set_model_props(model, {"slm.context_length": "256", "slm.appended_states": "3.latent"})
        onnx.save_model(model, path / "model.onnx")
        return path

    def _graph(self) -> onnx.GraphProto:
        graph = _Graph(self.weights)
        x = self._layers(graph)
        last = graph.node("Gather", x, graph.integers([-1]), axis=1)
        graph.node("MatMul", last, "head", output="logits")
        value = helper.make_tensor_value_info
        inputs = [
            value("input_ids", INT64, ["batch", "tokens"]),
            value("attention_mask", INT64, ["batch", "total"]),
            *(
                value(f"past_key_values.{n}", kind, _named(shape, "past"))
                for n, (kind, shape) in STATES.items()
            ),
        ]
        outputs = [
            value("logits", FLOAT, ["batch", 1, VOCAB]),
            *(value(f"present.{n}", kind, _named(shape, "total")) for n, (kind, shape) in STATES.items()),
        ]
        return helper.make_graph(graph.nodes, "hybrid", inputs, outputs, graph.constants)

    def _layers(self, g: _Graph) -> str:
        total = g.node("Shape", "attention_mask", start=1, end=2)
        tokens = g.node("Shape", "input_ids", start=1, end=2)
        x = g.node("Gather", "embedding", "input_ids")
        x = g.node("Add", x, self._attention(g, 0, x, total))
        # Channels first.
        turned = g.node("Transpose", x, perm=[0, 2, 1])
        padded = g.node("Concat", "past_key_values.1.convolution", turned, axis=2)
        g.node("Slice", padded, g.integers([1 - WIDTH]), g.integers([1 << 40]), g.integers([2]),
               output="present.1.convolution")  # fmt: skip
        mixed = g.node("Conv", padded, "filter", group=HIDDEN)
        x = g.node("Add", x, g.node("Transpose", mixed, perm=[0, 2, 1]))
        sums = self._recurrence(g, x)
        old = g.node("Unsqueeze", g.node("Cast", "past_key_values.2.before", to=FLOAT), g.integers([1]))
        shifted = g.node("Concat", old, x, axis=1)
        ends = (g.integers([0]), g.integers([-1]), g.integers([1]))
        before = g.node("Cast", g.node("Cast", g.node("Slice", shifted, *ends), to=HALF), to=FLOAT)
        newest = g.node("Squeeze", g.node("Gather", x, g.integers([-1]), axis=1), g.integers([1]))
        g.node("Cast", newest, to=HALF, output="present.2.before")
        count = "past_key_values.2.count"
        g.node("Add", count, tokens, output="present.2.count")
        scalar = g.integers(0)
        steps = g.node("Range", scalar, g.node("Squeeze", tokens), g.integers(1))
        rows = g.node("Gather", "table", g.node("Mod", g.node("Add", count, steps), g.integers([PERIOD])))
        for addend in (sums, before, rows):
            x = g.node("Add", x, addend)
        x = g.node("Add", x, self._latent_attention(g, x, total, tokens))
        return g.node("Add", x, self._attention(g, 4, x, total))

    def _attention(self, g: _Graph, layer: int, x: str, total: str) -> str:
        heads, kv_heads, _ = ATTENTIONS[layer]
        operands = [g.node("MatMul", x, f"{name}{layer}") for name in "qkv"]
        pasts = [f"past_key_values.{layer}.{kind}" for kind in ("key", "value")]
        lengths = g.node("Cast", total, to=TensorProto.INT32)
        last = g.node("Sub", lengths, g.constant(np.array([1], np.int32)))
        attended = g.node(
            "GroupQueryAttention", *operands, *pasts, last, g.node("Squeeze", lengths),
            more=[f"present.{layer}.{kind}" for kind in ("key", "value")],
            domain="com.microsoft", num_heads=heads, kv_num_heads=kv_heads,
        )  # fmt: skip
        return g.node("MatMul", attended, f"o{layer}")

    def _recurrence(self, g: _Graph, x: str) -> str:
        body = helper.make_graph(
            [
                helper.make_node("Mul", ["state", "decay"], ["kept"]),
                helper.make_node("Add", ["kept", "token"], ["next"]),
                helper.make_node("Identity", ["next"], ["seen"]),
            ],
            "step",
            [helper.make_tensor_value_info(name, FLOAT, [1, 2, HIDDEN // 2]) for name in ("state", "token")],
            [helper.make_tensor_value_info(name, FLOAT, [1, 2, HIDDEN // 2]) for name in ("next", "seen")],
            [numpy_helper.from_array(np.float32(DECAY), "decay")],
        )
        by_token = g.node(
            "Reshape", g.node("Transpose", x, perm=[1, 0, 2]), g.integers([0, 1, 2, HIDDEN // 2])
        )
        seen = g.name()
        g.add("Scan", ["past_key_values.2.recurrence", by_token], ["present.2.recurrence", seen],
              body=body, num_scan_inputs=1)  # fmt: skip
        return g.node("Reshape", seen, g.integers([1, -1, HIDDEN]))

    def _latent_attention(self, g: _Graph, x: str, total: str, tokens: str) -> str:
        eight = g.constant(np.float32(8))
        rounded = g.node("Round", g.node("Mul", g.node("MatMul", x, "to_latent"), eight))
        limits = g.constant(np.float32(-127)), g.constant(np.float32(127))
        new = g.node("Cast", g.node("Clip", rounded, *limits), to=INT8)
        g.node("Concat", "past_key_values.3.latent", new, axis=1, output="present.3.latent")
        latents = g.node("Div", g.node("Cast", "present.3.latent", to=FLOAT), eight)
        query = g.node("MatMul", x, "to_query")
        scores = g.node("MatMul", query, g.node("Transpose", latents, perm=[0, 2, 1]))
        end = g.node("Squeeze", total)
        columns = g.node("Range", g.integers(0), end, g.integers(1))
        rows = g.node("Range", g.node("Squeeze", g.node("Sub", total, tokens)), end, g.integers(1))
        seen = g.node("GreaterOrEqual", g.node("Unsqueeze", rows, g.integers([1])), columns)
        scores = g.node("Where", seen, scores, g.constant(np.float32(-1e9)))
        mixed = g.node("MatMul", g.node("Softmax", scores, axis=-1), latents)
        return g.node("MatMul", mixed, "from_latent")


class _Graph:
    """Nodes and constants, named one after the other."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]

    def name(self) -> str:
        return f"v{len(self.nodes)}_{len(self.constants)}"

    def add(self, kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        self.nodes.append(helper.make_node(kind, inputs, outputs, **attributes))

    def node(
        self, kind: str, *inputs: str, output: str = "", more: list[str] | None = None, **options: Any
    ) -> str:
        name = output or self.name()
        self.add(kind, list(inputs), [name, *(more or [])], **options)
        return name

    def constant(self, value: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), f"c{len(self.constants)}"))
        return self.constants[-1].name

    def integers(self, value: int | list[int]) -> str:
        return self.constant(np.array(value, np.int64))


def _named(shape: list[int | None], length: str) -> list[int | str]:
    return [length if size is None else size for size in shape]


def _softmax(scores: Array) -> Array:
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(-1, keepdims=True), np.float32)
