"""An ONNX artifact in onnxruntime's Python API, for parity on the converting host."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch


class OnnxDecoder:
    """A decoder with its own KV cache, batch 1.

    Args:
        model: the .onnx file.
        capacity: tokens that the KV cache can hold.
    """

    def __init__(self, model: Path, capacity: int) -> None:
        # The wheels report home unless this is set before the library is loaded.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {item.name: item for item in self._session.get_inputs()}
        self._capacity = capacity
        self._ort = onnxruntime
        self._caches: dict[str, Any] = {}
        self._length = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self._length = 0
        for name, item in self._inputs.items():
            if name.startswith("past_key_values."):
                shape = (1, item.shape[1], self._capacity, item.shape[3])
                self._caches[name] = self._ort.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32))

    def step(self, ids: Sequence[int]) -> torch.Tensor:
        """Feed tokens; returns logits, float32 [1 or len(ids), vocab]."""
        binding = self._session.io_binding()
        total = self._length + len(ids)
        binding.bind_cpu_input("input_ids", np.array([ids], np.int64))
        binding.bind_cpu_input("attention_mask", np.ones((1, total), np.int64))
        if "position_ids" in self._inputs:
            binding.bind_cpu_input("position_ids", np.arange(self._length, total, dtype=np.int64)[None])
        binding.bind_output("logits")
        for name, cache in self._caches.items():
            binding.bind_ortvalue_input(name, cache)
            binding.bind_ortvalue_output(name.replace("past_key_values", "present"), cache)
        self._session.run_with_iobinding(binding)
        self._length = total
        return torch.from_numpy(binding.get_outputs()[0].numpy()[0])
