"""The sizes of a captured decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.capture.graph import DecoderGraph, Op, Ref
from toolkit.capture.parts import matrix_parts
from toolkit.capture.patterns import last_linear, linear_matrix, routers, shape_of
from toolkit.models.layers import Layer, MixtureOfExperts
from toolkit.models.shape import DecoderShape, MatrixShape, elements


def longest_text(config: Any) -> int | None:
    """Positions that a model was made for; None where any text is as good as a short one."""
    names = ("max_position_embeddings", "n_positions", "max_seq_len", "max_target_positions")
    values = (int(getattr(config, name, None) or 0) for name in names)
    # XLNet says -1 where any text is as good as a short one.
    return next((value for value in values if value > 0), None)


def residual_width(graph: DecoderGraph, config: Any) -> int:
    """Width of the residual stream: as the config says, or what the output matrix multiplies."""
    known = getattr(config, "hidden_size", None)
    if known is not None:
        return int(known)
    head = last_linear(graph)
    assert head is not None, "logits are made by a matrix"
    return int(shape_of(graph, head.args[0])[-1])


def decoder_shape(
    graph: DecoderGraph, layers: Sequence[Layer], tied: Mapping[str, str], config: Any
) -> DecoderShape:
    """Sizes that follow from a graph alone; no weights are read.

    Args:
        graph: as captured.
        layers: what each of its layers is.
        tied: parameter that is an alias -> the parameter that is stored.
        config: of the text decoder.
    """
    matrices: dict[tuple[str, str], MatrixShape] = {}
    for op in graph.ops:
        one = _matrix(graph, tied, op)
        if one is not None:
            matrices.setdefault((one.name, one.role), one)
    stored = {tied.get(name, name): shape for name, shape in graph.parameters.items()}
    named = {one.name for one in matrices.values()}
    rest = {name: shape for name, shape in stored.items() if name not in named}
    # Matrices of experts come in one tensor each.
    share = _share_of_experts(layers)
    experts = {name: shape for name, shape in rest.items() if len(shape) == 3 and share < 1}
    for name, shape in experts.items():
        matrices[name, "linear"] = MatrixShape(name, "linear", elements(shape[:-1]), shape[-1], used=share)
    tables = {op.args[1]: int(op.args[2]) for op in graph.ops if op.target == "slm.rope_table"}
    return DecoderShape(
        hidden_size=residual_width(graph, config),
        vocabulary=int(config.vocab_size),
        layers=tuple(layers),
        matrices=tuple(matrices.values()),
        other_parameters=sum(elements(shape) for name, shape in rest.items() if name not in experts),
        tied=bool(tied),
        parts=matrix_parts(graph, tied),
        rotary_dims=tuple(tables.values()),
        longest=longest_text(config),
        routers=tuple(routers(graph)),
    )


def _matrix(graph: DecoderGraph, tied: Mapping[str, str], op: Op) -> MatrixShape | None:
    if op.target == "aten.linear" and op.args[1].name in graph.parameters:
        matrix = linear_matrix(graph, tied, op)
        shape = graph.parameters[op.args[1].name]
        rows, columns = (shape[1], shape[0]) if matrix.transposed else (shape[0], shape[-1])
        return MatrixShape(matrix.name, matrix.role, rows, columns)
    if (
        op.target == "aten.embedding"
        and op.args[1] == Ref("input_ids")
        and op.args[0].name in graph.parameters
    ):
        name = op.args[0].name
        rows, columns = graph.parameters[name]
        return MatrixShape(tied.get(name, name), "embedding", rows, columns)
    return None


def _share_of_experts(layers: Sequence[Layer]) -> float:
    for layer in layers:
        if isinstance(layer.feed_forward, MixtureOfExperts):
            return layer.feed_forward.experts_per_token / layer.feed_forward.experts
    return 1.0
