"""What the emitters of single operators may ask of the lowering that drives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from toolkit.capture.graph import DecoderGraph, Op, Ref
from toolkit.compress.parameters import Matrix
from toolkit.export.onnx.builder import GraphBuilder
from toolkit.export.onnx.initializers import WeightStore


class LoweringContext(Protocol):
    """A lowering in progress.

    Attributes:
        graph: the captured decoder.
        builder: receives the nodes.
        weights: writes the parameters.
        users: for every operand name the operations that read it.
    """

    graph: DecoderGraph
    builder: GraphBuilder
    weights: WeightStore
    users: dict[str, list[Op]]

    def value(self, ref: Ref) -> str:
        """The ONNX value of an operand, emitted now if it was not before."""

    def shape(self, ref: Ref) -> tuple[int | str, ...]:
        """Shape of an operand in the graph."""

    def set_value(self, name: str, value: str) -> None:
        """Record what an operation became."""

    def has_value(self, name: str) -> bool:
        """Whether an operation or input was emitted."""

    def gain(self, norm: Op) -> str:
        """The weight of an RMS norm, with Gemma's 1 added where the model does."""

    def is_head(self, op: Op) -> bool:
        """Whether a linear is the output projection."""

    def matrix(self, op: Op) -> Matrix:
        """The weight of a linear."""

    def linear_input(self, op: Op) -> str:
        """Input of a linear; the output projection's may be the last position only."""


Emitter = Callable[[LoweringContext, Op], str]
