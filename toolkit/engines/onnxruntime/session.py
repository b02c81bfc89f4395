"""An ONNX artifact in onnxruntime's Python API, on this host."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

# The wheels report home unless this is set before the library is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime  # noqa: E402

_PAST, _PRESENT = "past_key_values.", "present."
# States that a model returns longer than it took them; all others that grow are written in place.
_APPENDED = "slm.appended_states"
_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


class OnnxDecoder:
    """A decoder with its own states, batch 1, bound as the runner binds them (docs/runner.md).

    Args:
        model: the .onnx file.
        capacity: tokens that the KV cache can hold.
    """

    def __init__(self, model: Path, capacity: int) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {item.name: item for item in self._session.get_inputs()}
        self._capacity = capacity
        metadata = self._session.get_modelmeta().custom_metadata_map
        self._appended = set(metadata.get(_APPENDED, "").split(","))
        self._states: dict[str, Any] = {}
        self._binding: Any = None
        self._in_place: set[str] = set()
        self._length = 0
        [logits] = [item for item in self._session.get_outputs() if item.name == "logits"]
        self.every_position: bool = logits.shape[1] != 1
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self._length = 0
        for name, item in self._inputs.items():
            if not name.startswith(_PAST):
                continue
            sizes = item.shape[1:]
            if any(not isinstance(size, int) for size in sizes):
                if name.removeprefix(_PAST) not in self._appended:
                    self._in_place.add(name)
            text = self._capacity if name in self._in_place else 0
            shape = (1, *(size if isinstance(size, int) else text for size in sizes))
            zeros = np.zeros(shape, _TYPES[item.type])
            self._states[name] = onnxruntime.OrtValue.ortvalue_from_numpy(zeros)

    def rewind(self, position: int) -> int:
        """Forget all but the first tokens; all of them where a state holds more than rows of a cache."""
        if position == self._length:
            return position
        if self._in_place != set(self._states):
            self.reset()
            return 0
        # Later rows are never read before they are written again.
        self._length = position
        return position

    def step(self, ids: Sequence[int]) -> torch.Tensor:
        """Feed tokens; returns logits, float32 [1 or len(ids), vocab]."""
        binding = self._session.io_binding()
        total = self._length + len(ids)
        binding.bind_cpu_input("input_ids", np.array([ids], np.int64))
        binding.bind_cpu_input("attention_mask", np.ones((1, total), np.int64))
        if "position_ids" in self._inputs:
            binding.bind_cpu_input("position_ids", np.arange(self._length, total, dtype=np.int64)[None])
        binding.bind_output("logits")
        for name, state in self._states.items():
            binding.bind_ortvalue_input(name, state)
            present = _PRESENT + name.removeprefix(_PAST)
            if name in self._in_place:
                binding.bind_ortvalue_output(present, state)
            else:
                binding.bind_output(present)
        self._session.run_with_iobinding(binding)
        self._length = total
        # In the order in which they were bound. They lie in the binding, which lives as long as they are
        # used. What was bound in place stays: it is the owner of its memory.
        logits, *states = binding.get_outputs()
        outputs = dict(zip(self._states, states, strict=True))
        self._states |= {name: state for name, state in outputs.items() if name not in self._in_place}
        self._binding = binding
        return torch.from_numpy(logits.numpy()[0])
