"""Attention within chunks of the text (Llama 4): the mask becomes a column of queries and keys."""

from __future__ import annotations

from dataclasses import replace

from toolkit.capture.attention_operations import AttentionOperations, Scores
from toolkit.capture.graph import DecoderGraph, Op
from toolkit.errors import UnsupportedModel


def without_chunks(graph: DecoderGraph) -> DecoderGraph:
    """Every ``slm.attention`` within chunks as one over the whole text whose keys say their chunk."""
    ops = [new for op in graph.ops for new in (_unchunked(graph, op) if _chunk(op) else [op])]
    return replace(graph, ops=tuple(ops))


def _chunk(op: Op) -> int:
    return int(op.argument(8, "chunk", 0)) if op.target == "slm.attention" else 0


def _unchunked(graph: DecoderGraph, op: Op) -> list[Op]:
    layer, scale, window, softcap = op.args[3:7]
    if window or softcap:
        raise UnsupportedModel(f"{op} is attention within chunks that has a window or a soft cap as well")
    scores = Scores(scale, 0, chunk=_chunk(op), sinks=op.argument(7, "sinks", None))
    return AttentionOperations(graph, layer, scores).in_place_of(op)
