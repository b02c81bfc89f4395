"""Which part of a decoder a matrix plays, read from the graph: names differ from family to family."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.capture.graph import DecoderGraph, Op
from toolkit.capture.patterns import ancestors, is_head, layer_of, linear_matrix
from toolkit.models.shape import Part

# What mixes tokens or experts: a matrix beyond it belongs to something else.
_BEYOND = ("aten.linear", "slm.attention", "slm.experts")
# What xIELU (arXiv 2411.13010) has of its own is the last one.
_ACTIVATIONS = ("aten.silu", "aten.gelu", "aten.relu", "aten.tanh", "aten.sigmoid", "aten.expm1")
# What mixes tokens belongs to no feed-forward, whatever gates it.
_MIXERS = {"slm.attention", "slm.linear_recurrence", "slm.short_convolution"}


def matrix_parts(graph: DecoderGraph, tied: Mapping[str, str]) -> dict[str, Part]:
    """Parts of a decoder's matrices, by parameter name.

    A matrix that yields values beside queries and keys (``c_attn``, ``qkv_proj``) is a matrix of values. All
    experts' ways back are one parameter. What ends feed-forwards of the same layer is last together.
    """
    found: dict[str, Part] = {}
    downs: dict[str, object] = {}
    last: object = None
    for op in graph.ops:
        if op.target == "slm.attention":
            for source in ancestors(graph, op.args[2], until=_BEYOND):
                if source.target == "aten.linear" and _same_layer(source, op):
                    found[linear_matrix(graph, tied, source).name] = "value"
        elif op.target == "slm.experts" or (op.target == "aten.linear" and _is_down(graph, tied, op)):
            experts = op.target == "slm.experts"
            name = op.args[4].name if experts else linear_matrix(graph, tied, op).name
            # Layers may share one matrix; the last of them decides.
            downs[name] = last = layer_of(op) or op.name
    for name, layer in downs.items():
        found.setdefault(name, "last_down" if layer == last else "down")
    return found


def _same_layer(first: Op, second: Op) -> bool:
    """Whether two operations lie below the same number, that of their layer."""
    numbers = [[part for part in op.module.split(".") if part.isdigit()][:1] for op in (first, second)]
    return numbers[0] == numbers[1]


def _is_down(graph: DecoderGraph, tied: Mapping[str, str], op: Op) -> bool:
    """Whether a linear ends a feed-forward: linears and an activation lie before it, and no mixer."""
    if is_head(graph, tied, op):
        return False
    # What gates an earlier layer's result (shared experts) stands in the residual stream.
    before = {one.target for one in ancestors(graph, op.args[0], until=_BEYOND) if _same_layer(one, op)}
    return "aten.linear" in before and not before & _MIXERS and bool(before & set(_ACTIVATIONS))
