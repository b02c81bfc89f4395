"""Quantize matrices for the inputs that they see, in one pass of a text through the original model.

The pass is the streaming one of :mod:`toolkit.inference.reference`: each linear's weight is read when the
text reaches it. There it is quantized for exactly those inputs, and the pass goes on with the quantized
weight, so that later layers are calibrated to what earlier ones really do. In memory are the texts' hidden
states, one matrix and one matrix of second moments; results wait on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from toolkit.capture.graph import DecoderGraph
from toolkit.capture.patterns import linear_matrix
from toolkit.capture.skeleton import shared_names
from toolkit.compress.algorithms import CALIBRATED_ALGORITHMS
from toolkit.compress.parameters import Matrix, Weights
from toolkit.compress.plan import QuantizationPlan
from toolkit.compress.tensor import QuantizedTensor
from toolkit.inference.reference import streamed

Progress = Callable[[int, int], None]


@dataclass
class StoredMatrices(Mapping[str, QuantizedTensor]):
    """Quantized matrices by parameter name, in files of a folder."""

    folder: Path
    _files: dict[str, Path] = field(default_factory=dict)

    def __getitem__(self, name: str) -> QuantizedTensor:
        """Read one."""
        return QuantizedTensor(**torch.load(self._files[name], weights_only=True))

    def __iter__(self) -> Iterator[str]:
        """Names."""
        return iter(self._files)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._files)

    def add(self, name: str, tensor: QuantizedTensor) -> None:
        """Write one."""
        path = self.folder / f"{len(self._files)}.pt"
        torch.save(vars(tensor), path)
        self._files[name] = path


def calibrate(
    model: Any,
    graph: DecoderGraph,
    weights: Weights,
    plan: QuantizationPlan,
    tied: Mapping[str, str],
    ids: Sequence[Sequence[int]],
    folder: Path,
    progress: Progress,
) -> Mapping[str, QuantizedTensor]:
    """Quantize every matrix whose spec names a calibrated algorithm.

    Args:
        model: a skeleton.
        graph: the captured decoder; says which parameters are linears.
        weights: reads parameters as float32.
        plan: quantization of every tensor. What it carries over is left alone.
        tied: alias -> stored parameter.
        ids: token ids of equally long texts.
        folder: receives the results; exists.
        progress: called with (matrices done, matrices).
    """
    matrices = {
        op.args[1].name: linear_matrix(graph, tied, op) for op in graph.ops if op.target == "aten.linear"
    }
    shared = shared_names(model)
    modules = {f"{name}.weight": module for name, module in model.named_modules()}
    run = _Calibration(weights, plan, StoredMatrices(folder), matrices, progress)
    handles = [
        module.register_forward_pre_hook(run.reached(shared.get(name, name)))
        for name, module in modules.items()
        if shared.get(name, name) in matrices
    ]
    try:
        with torch.no_grad(), streamed(model, run, tied):
            model(torch.tensor(ids), use_cache=False)
    except _HeadReached:
        # What follows would only be logits that nobody reads, of every position.
        pass
    finally:
        for handle in handles:
            handle.remove()
    return run.results


class _HeadReached(Exception):  # noqa: N818
    """Ends the pass."""


@dataclass
class _Calibration:
    """The pass in progress; to the streaming model it is the reader of weights."""

    weights: Weights
    plan: QuantizationPlan
    results: StoredMatrices
    matrices: Mapping[str, Matrix]
    progress: Progress
    _reached: set[str] = field(default_factory=set)
    _moments: tuple[torch.Tensor, torch.Tensor] | None = None
    _current: dict[str, torch.Tensor] = field(default_factory=dict)

    def read(self, name: str) -> torch.Tensor:
        """The weight that the pass goes on with: quantized and back, where it was just quantized."""
        quantized = self._current.pop(name, None)
        return self.weights.read(name) if quantized is None else quantized

    def read_blocks(self, name: str) -> QuantizedTensor | None:
        """The source's own integers."""
        return self.weights.read_blocks(name)

    def reached(self, parameter: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
        """A hook for the module that multiplies with the parameter."""
        matrix = self.matrices[parameter]

        def hook(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            if matrix.name in self.results:
                # A layer that runs several times has one matrix: the one that its first inputs made.
                self._go_on_with(matrix, self.results[matrix.name])
                return
            self._quantize(matrix, inputs[0])
            self._reached.add(matrix.name)
            self.progress(len(self._reached), len(self.matrices))
            if matrix.role == "lm_head":
                raise _HeadReached

        return hook

    def _quantize(self, matrix: Matrix, inputs: torch.Tensor) -> None:
        spec = self.plan.spec_for(matrix.name, matrix.role)
        if spec.algorithm not in CALIBRATED_ALGORITHMS:
            return
        if matrix.carried_over(self.weights, self.plan) is not None:
            return
        algorithm = CALIBRATED_ALGORITHMS.get(spec.algorithm)
        weight = matrix.read(self.weights)
        tensor = algorithm(weight, self._second_moments(inputs), spec, subject=matrix.name)
        self.results.add(matrix.name, tensor)
        self._go_on_with(matrix, tensor)

    def _go_on_with(self, matrix: Matrix, tensor: QuantizedTensor) -> None:
        restored = tensor.dequantize()
        self._current[matrix.name] = restored.t().contiguous() if matrix.transposed else restored

    def _second_moments(self, inputs: torch.Tensor) -> torch.Tensor:
        """X^T X over tokens of unit length: a few tokens are a hundred times as long as the others."""
        if self._moments is None or self._moments[0] is not inputs:
            tokens = nn.functional.normalize(inputs.flatten(0, -2), dim=-1)
            # Linears over one input follow each other; holding the input keeps its identity its own.
            self._moments = inputs, tokens.t() @ tokens
        return self._moments[1]
