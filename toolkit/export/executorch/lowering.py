"""From a captured graph to a program: operations, in order, become nodes of a delegate or kernel calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from toolkit.capture.folding import POSITION_ROWS
from toolkit.capture.graph import Op, Ref
from toolkit.capture.patterns import linear_bias, linear_matrix
from toolkit.compress.parameters import Matrix
from toolkit.errors import UnsupportedModel
from toolkit.export.executorch import arithmetic, layout, routing
from toolkit.export.executorch.attention import Attention
from toolkit.export.executorch.experts import emit_experts
from toolkit.export.executorch.layout import plain
from toolkit.export.executorch.partition import Partition, Result
from toolkit.export.executorch.recurrences import Recurrences
from toolkit.export.executorch.vocabulary import (
    first_last_position_operation,
    look_up_tokens,
    select_last_position,
)

if TYPE_CHECKING:
    from toolkit.capture.folding import PositionTables
    from toolkit.capture.rope import RopeTables

_EMITTERS = {**arithmetic.EMITTERS, **layout.EMITTERS, **routing.EMITTERS}


class Lowering:
    """Lowers one captured graph.

    Args:
        partition: empty; receives the delegates and kernel calls.
        rope_tables: yields the tables of a rotary embedding.
        position_tables: yields the tables of ``slm.position_rows``.
        tied: parameter that is an alias -> the parameter that is stored.
        all_logits: logits of every position instead of the last one only.
    """

    def __init__(
        self,
        partition: Partition,
        rope_tables: RopeTables,
        position_tables: PositionTables,
        *,
        tied: Mapping[str, str],
        all_logits: bool,
    ) -> None:
        self._partition = partition
        self._attention = Attention(partition, rope_tables, position_tables)
        self._recurrences = Recurrences(partition)
        self._tied = tied
        self._last_position = None if all_logits else first_last_position_operation(partition, tied)

    def run(self) -> None:
        """Emit everything and declare the logits as the method's output."""
        partition = self._partition
        for op in partition.graph.ops:
            partition.method.operators.module = op.module
            if op is self._last_position:
                select_last_position(partition, op)
            result = self._emit(op)
            if result is not None:
                partition.set_result(op.name, result)
            partition.finish(op)
        partition.method.output(partition.tensor(partition.result(Ref(partition.graph.output))))

    def _emit(self, op: Op) -> Result | None:
        """What an operation becomes; None for one whose readers look behind it."""
        match op.target:
            case "aten.linear":
                return self._linear(op)
            case "aten.embedding":
                return self._embedding(op)
            case "slm.attention":
                return self._attention.emit(op)
            case "slm.rotary":
                return self._attention.rotary(op)
            case "slm.experts":
                return emit_experts(self._partition, op)
            case "aten.topk" | "aten.max":
                routing.two_results(self._partition, op)
                return None
            case "getitem" if self._partition.graph.by_name[op.args[0].name].target in routing.TWO_RESULTS:
                return self._partition.result(Ref(op.name))
            case "aten.cat" if op.dtype == "int64":
                return routing.cat_integers(self._partition, op)
            case "aten.slice" if op.dtype == "int64":
                return routing.cut_integers(self._partition, op)
            case "slm.short_convolution":
                return self._recurrences.short_convolution(op)
            case "slm.linear_recurrence":
                return self._recurrences.linear_recurrence(op)
            case "slm.rope_table":
                return None
            case "slm.position_rows":
                return self._position_rows(op)
        if op.target not in _EMITTERS:
            raise UnsupportedModel(
                f"operator {op} has no ExecuTorch lowering",
                next_step="Please report the model type; lowerings live in toolkit/export/executorch.",
            )
        return _EMITTERS[op.target](self._partition, op)

    def _position_rows(self, op: Op) -> Result | None:
        readers = self._partition.users.get(op.name, [])
        if readers and all(user.target == "aten.embedding" for user in readers):
            # A look-up that reads it finds the rows itself.
            return None
        return self._attention.position_rows(op)

    def _linear(self, op: Op) -> Result:
        partition = self._partition
        weight = partition.weights.filter(linear_matrix(partition.graph, self._tied, op))
        if weight.dynamic_activation:
            partition.begin_products(quantized=True)
        source = plain(partition, partition.result(op.args[0]))
        node, bias = partition.node(source), linear_bias(op)
        offset = None if bias is None else partition.weights.vector(bias.name)
        return partition.from_node(partition.delegate().linear(node, weight, offset))

    def _embedding(self, op: Op) -> Result:
        table, indices = op.args[0].name, op.args[1]
        places = self._partition.graph.by_name.get(indices.name)
        if places is not None and places.target == POSITION_ROWS:
            return self._attention.embedding_rows(table, places.args[1])
        if indices == Ref("position_ids"):
            return self._attention.rows(self._partition.weights.vector(table), "position embedding")
        if indices != Ref("input_ids"):
            raise UnsupportedModel(f"{op} looks up something other than tokens and positions")
        return look_up_tokens(self._partition, op, Matrix(self._tied.get(table, table), "embedding"))
