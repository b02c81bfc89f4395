"""From a captured graph to ONNX nodes, fused where onnxruntime has a fused operator.

Operations are visited in order. Those that a fusion may swallow (views, linears, norms) are emitted only
when something asks for their value, so what was fused away never reaches the model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from toolkit.capture.folding import POSITION_ROWS
from toolkit.capture.graph import SEQUENCE, DecoderGraph, Op, Ref
from toolkit.capture.patterns import is_head, layer_norm_epsilon, linear_matrix
from toolkit.compress.parameters import Matrix
from toolkit.errors import UnsupportedModel
from toolkit.export.onnx import arithmetic, layout, recurrences, routing
from toolkit.export.onnx.attention import Attention
from toolkit.export.onnx.builder import FLOAT, INT64, MICROSOFT, GraphBuilder
from toolkit.export.onnx.experts import Experts
from toolkit.export.onnx.initializers import WeightStore
from toolkit.export.onnx.linears import Linears
from toolkit.models.layers import BATCH, TEXT, State

if TYPE_CHECKING:
    from toolkit.capture.folding import PositionTables
    from toolkit.capture.rope import RopeTables

_LAZY = {
    "aten.linear",
    "slm.rms_norm",
    "aten.layer_norm",
    "slm.rotary",
    "slm.rope_table",
    POSITION_ROWS,
    *layout.LAZY,
}
_EMITTERS = {**arithmetic.EMITTERS, **routing.EMITTERS, **layout.LAZY}


class Lowering:
    """Lowers one captured graph into a GraphBuilder.

    Args:
        graph: the captured decoder.
        builder: receives the nodes.
        weights: writes the parameters.
        rope_tables: yields the tables of a rotary embedding.
        position_tables: yields the tables of ``slm.position_rows``.
        states: what the decoder keeps between tokens.
        tied: parameter that is an alias -> the parameter that is stored.
        all_logits: logits of every position instead of the last one only.
    """

    def __init__(
        self,
        graph: DecoderGraph,
        builder: GraphBuilder,
        weights: WeightStore,
        rope_tables: RopeTables,
        position_tables: PositionTables,
        states: Sequence[State],
        *,
        tied: dict[str, str],
        all_logits: bool,
    ) -> None:
        self.graph = graph
        self.builder = builder
        self.weights = weights
        self.users = graph.users()
        self._states = states
        self._position_tables = position_tables
        self._stored_tables: dict[tuple[tuple[int, ...], bytes], str] = {}
        self._tied = tied
        self._all_logits = all_logits
        self._values: dict[str, str] = {}
        self._linears = Linears(self)
        self._attention = Attention(self, self._linears, rope_tables)
        self._experts = Experts(self)

    def run(self) -> None:
        """Emit all nodes, then declare inputs and outputs in onnxruntime-genai's names."""
        for op in self.graph.ops:
            if op.target not in _LAZY:
                self.value(Ref(op.name))
        builder = self.builder
        logits = self.value(Ref(self.graph.output))
        builder.node("Identity", [logits], outputs=["logits"])
        builder.input("input_ids", INT64, [1, "sequence_length"])
        builder.input("attention_mask", INT64, [1, "total_sequence_length"])
        if "position_ids" in self._values:
            builder.input("position_ids", INT64, [1, "sequence_length"])
        vocabulary = self.graph.by_name[self.graph.output].shape
        assert vocabulary is not None, "logits are one tensor"
        builder.output("logits", FLOAT, [1, "sequence_length" if self._all_logits else 1, vocabulary[-1]])
        for state in self._states:
            builder.input(f"past_key_values.{state.name}", FLOAT, _shape(state, "past_sequence_length"))
            builder.output(f"present.{state.name}", FLOAT, _shape(state, "total_sequence_length"))

    def has_value(self, name: str) -> bool:
        """Whether an operation or input was emitted."""
        return name in self._values

    def value(self, ref: Ref) -> str:
        """The ONNX value of an operand, emitted now if it was not before."""
        name = ref.name
        if name not in self._values:
            if name in self.graph.by_name:
                self._emit(self.graph.by_name[name])
            elif name in self.graph.parameters:
                self._values[name] = self.weights.vector(name)
            elif name in self.graph.constants:
                shape, numbers = self.graph.constants[name]
                array = np.array(numbers).reshape(shape)
                wanted = np.int64 if array.dtype.kind == "i" else np.float32
                self._values[name] = self.builder.constant(array.astype(wanted))
            else:
                self._values[name] = name
        return self._values[name]

    def shape(self, ref: Ref) -> tuple[int | str, ...]:
        """Shape of an operand in the graph."""
        if ref.name in self.graph.by_name:
            shape = self.graph.by_name[ref.name].shape
            assert shape is not None, f"{ref.name} is one tensor"
            return shape
        if ref.name in self.graph.parameters:
            return self.graph.parameters[ref.name]
        if ref.name in self.graph.constants:
            return self.graph.constants[ref.name][0]
        return (1, SEQUENCE)

    def set_value(self, name: str, value: str) -> None:
        """Record what an operation became."""
        self._values[name] = value

    def is_head(self, op: Op) -> bool:
        """Whether a linear is the output projection."""
        return is_head(self.graph, self._tied, op)

    def matrix(self, op: Op) -> Matrix:
        """The weight of a linear."""
        return linear_matrix(self.graph, self._tied, op)

    def linear_input(self, op: Op) -> str:
        """Input of a linear; the output projection sees the last position only, unless all are wanted."""
        value = self.value(op.args[0])
        if self.is_head(op) and not self._all_logits:
            last = self.builder.constant(np.array([-1], np.int64))
            return self.builder.node("Gather", [value, last], axis=1, hint="last_position")[0]
        return value

    def _emit(self, op: Op) -> None:
        # What an operation needs is emitted on the way, and belongs to other modules.
        outer, self.builder.module = self.builder.module, op.module
        self._emit_nodes(op)
        self.builder.module = outer

    def _emit_nodes(self, op: Op) -> None:
        emitters: dict[str, Callable[[Op], None]] = {
            "aten.linear": self._linears.emit,
            "aten.embedding": self._embedding,
            "aten.add": self._add,
            "slm.rms_norm": self._rms_norm,
            "aten.layer_norm": self._layer_norm,
            "slm.attention": self._attention.emit,
            "slm.rotary": self._attention.rotary,
            "slm.experts": self._experts.emit,
            "slm.short_convolution": partial(recurrences.short_convolution, self),
            "slm.linear_recurrence": partial(recurrences.linear_recurrence, self),
            POSITION_ROWS: self._position_rows,
        }
        if op.target in emitters:
            emitters[op.target](op)
        elif op.target in _EMITTERS:
            self.set_value(op.name, _EMITTERS[op.target](self, op))
        else:
            raise UnsupportedModel(
                f"operator {op} has no ONNX lowering",
                next_step="Please report the model type; lowerings live in toolkit/export/onnx.",
            )

    def _embedding(self, op: Op) -> None:
        table, indices = op.args[0].name, self.value(op.args[1])
        matrix = Matrix(self._tied.get(table, table), "embedding")
        places = self.graph.by_name.get(op.args[1].name)
        if places is not None and places.target == POSITION_ROWS:
            rows = self._position_tables(places.args[1]).reshape(-1).astype(np.int64)
            values = self.weights.rows(table, rows)
            self.set_value(op.name, self._rows(values, op.shape or ()))
        elif op.args[1] != Ref("input_ids"):
            # Learned positions: small, and added to every token, so kept exact.
            self.set_value(op.name, self.builder.node("Gather", [self.weights.vector(table), indices])[0])
        elif not self.weights.scheme(matrix).quantized:
            values = self.weights.float_matrix(matrix)
            self.set_value(op.name, self.builder.node("Gather", [values, indices], hint="embedding")[0])
        else:
            self.set_value(op.name, self._linears.gather(matrix, indices))

    def _position_rows(self, op: Op) -> None:
        table = self._position_tables(op.args[1])
        if table.dtype.kind not in "fi":
            raise UnsupportedModel(f"{op} is a flag for each position, which has no ONNX lowering")
        # Look-ups read integers from the table themselves; all else computes in floats.
        table = table.astype(np.float32)
        # Layers that turn alike compute the same table each.
        key = (table.shape, hashlib.sha256(table.tobytes()).digest())
        if key not in self._stored_tables:
            self._stored_tables[key] = self.builder.data.add(f"positions.{op.args[1]}", [table], table.shape)
        self.set_value(op.name, self._rows(self._stored_tables[key], op.shape or ()))

    def _rows(self, table: str, shape: tuple[int | str, ...]) -> str:
        """The call's positions' rows of a table [context, ...], shaped as ``shape``."""
        rows = self.builder.node("Gather", [table, self.value(Ref("position_ids"))])[0]
        dim = shape.index(SEQUENCE)
        if all(size == 1 for size in shape[:dim]):
            sizes = [-1 if size == SEQUENCE else int(size) for size in shape]
            return self.builder.node("Reshape", [rows, self.builder.constant(np.array(sizes, np.int64))])[0]
        sizes = [-1, *(int(size) for size in shape if size != SEQUENCE)]
        flat = self.builder.node("Reshape", [rows, self.builder.constant(np.array(sizes, np.int64))])[0]
        order = [*range(1, dim + 1), 0, *range(dim + 1, len(shape))]
        return self.builder.node("Transpose", [flat], perm=order)[0]

    def _add(self, op: Op) -> None:
        left, right = op.args[:2]
        if not (isinstance(left, Ref) and isinstance(right, Ref) and self._same_shape(left, right)):
            self.set_value(op.name, arithmetic.binary("Add")(self, op))
            return
        norm = next(
            (user for user in self.users[op.name] if user.target in _NORMS and len(op.shape or ()) == 3), None
        )
        if norm is None or norm.args[0] != Ref(op.name):
            self.set_value(op.name, self.builder.node("Add", [self.value(left), self.value(right)])[0])
            return
        operands = [self.value(left), self.value(right)]
        if norm.target == "slm.rms_norm":
            kind, gains, eps = "SkipSimplifiedLayerNormalization", [self.gain(norm)], norm.args[2]
        else:
            kind, gains, eps = (
                "SkipLayerNormalization",
                self._layer_norm_gains(norm),
                layer_norm_epsilon(norm),
            )
        outputs = self.builder.node(kind, operands + gains, outputs=4, domain=MICROSOFT, epsilon=float(eps))
        # Mean and inverse deviation are for training; an empty name leaves them out.
        self.builder.nodes[-1].output[1] = self.builder.nodes[-1].output[2] = ""
        self.set_value(norm.name, outputs[0])
        self.set_value(op.name, outputs[3])

    def _same_shape(self, left: Ref, right: Ref) -> bool:
        ops = [self.graph.by_name[ref.name] for ref in (left, right) if ref.name in self.graph.by_name]
        if any(op.target == "aten.expand" for op in ops):
            # It may still be one row for all positions.
            return False
        return len(ops) == 2 and ops[0].shape == ops[1].shape

    def gain(self, norm: Op) -> str:
        """The weight of an RMS norm, with Gemma's 1 added where the model does; ones where it has none."""
        if norm.args[1] is None:
            return self._ones(norm)
        return self.weights.vector(norm.args[1].name, offset=1.0 if norm.args[3] else 0.0)

    def _rms_norm(self, op: Op) -> None:
        inputs = [self.value(op.args[0]), self.gain(op)]
        self.set_value(
            op.name,
            self.builder.node("SimplifiedLayerNormalization", inputs, axis=-1, epsilon=float(op.args[2]))[0],
        )

    def _layer_norm_gains(self, op: Op) -> list[str]:
        weight, bias = (*op.args[2:4], None, None)[:2]
        gains = [self.value(weight) if isinstance(weight, Ref) else self._ones(op)]
        return [*gains, self.value(bias)] if isinstance(bias, Ref) else gains

    def _ones(self, norm: Op) -> str:
        assert norm.shape is not None, "a norm yields one tensor"
        return self.builder.constant(np.ones(int(norm.shape[-1]), np.float32))

    def _layer_norm(self, op: Op) -> None:
        inputs = [self.value(op.args[0]), *self._layer_norm_gains(op)]
        node = self.builder.node("LayerNormalization", inputs, axis=-1, epsilon=layer_norm_epsilon(op))
        self.set_value(op.name, node[0])


_NORMS = ("slm.rms_norm", "aten.layer_norm")


def _shape(state: State, length: str) -> list[int | str]:
    sizes: dict[int | str, int | str] = {BATCH: 1, TEXT: length}
    return [sizes.get(size, size) for size in state.shape]
