"""An ExecuTorch artifact in ExecuTorch's Python runtime, on this host."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

# Importing two of these registers llama's and the embedding's kernels with the runtime.
from executorch.extension.llm.custom_ops import custom_ops  # noqa: F401
from executorch.extension.pybindings.portable_lib import _load_for_executorch, _threadpool_get_thread_count
from executorch.kernels import quantized  # noqa: F401

from toolkit.engines.native_output import without_lines

# The runtime's log says at every start which files about the processor this machine does not have.
_ABOUT_PROCESSOR = b"[cpuinfo_utils.cpp:"


class ExecutorchDecoder:
    """A decoder with its own KV cache, batch 1.

    Args:
        program: the .pte file.
    """

    def __init__(self, program: Path) -> None:
        self._module: Any = _load_for_executorch(str(program))
        [self._longest] = self._module.run_method("get_max_seq_len", [])
        self._fixed_states = "get_fixed_states_buffer" in self._module.method_names()
        rows = self._module.method_meta("forward").output_tensor_meta(0).sizes()[1]
        self.every_position: bool = rows != 1
        self._length = 0

    def reset(self) -> None:
        """Forget everything seen; positions not yet written are never attended to."""
        self._length = 0

    def rewind(self, position: int) -> int:
        """Forget all but the first tokens; all of them where a state is no cache of rows."""
        if self._fixed_states and position != self._length:
            position = 0
        self._length = position
        return position

    def step(self, ids: Sequence[int]) -> torch.Tensor:
        """Feed tokens; returns logits, float32 [1 or len(ids), vocab]."""
        rows = []
        for start in range(0, len(ids), self._longest):
            chunk = list(ids[start : start + self._longest])
            inputs = (torch.tensor([chunk]), torch.tensor([self._length]))
            # The runtime reuses its output's memory.
            rows.append(self._module.forward(inputs)[0][0].clone())
            self._length += len(chunk)
        return torch.cat(rows) if self.every_position else rows[-1]


def open_program(program: Path, capacity: int) -> ExecutorchDecoder:
    """Load a program; its KV cache has the artifact's context length, whatever the capacity."""
    with without_lines(_ABOUT_PROCESSOR):
        # It looks when its threads start: at this question, or else at the first run.
        _threadpool_get_thread_count()
    return ExecutorchDecoder(program)
