"""Lowering for ExecuTorch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit.errors import UsageError
from toolkit.export.executorch.export import write_executorch
from toolkit.export.lowering import EngineLowering, LoweredModel, LoweringJob


class ExecutorchLowering:
    """Writes model.pte, XNNPACK delegates around llama's attention kernels."""

    def opset(self, asked: int | None) -> None:
        """Programs have none."""
        if asked is not None:
            raise UsageError(
                "--opset is for ONNX; it has no meaning with --backend executorch",
                next_step="Leave out --opset, or convert with --backend onnxruntime.",
            )

    def write(self, folder: Path, job: LoweringJob) -> LoweredModel:
        """Lower into one program file."""
        return write_executorch(folder, job, metadata=_token_methods(job.config, job.tokens))


def _token_methods(config: Any, tokens: Mapping[str, Any]) -> dict[str, int | tuple[int, ...]]:
    """Constant methods about the vocabulary, by the names that ExecuTorch's own LLM runner looks for."""
    methods: dict[str, int | tuple[int, ...]] = {"get_vocab_size": int(config.vocab_size)}
    bos, eos = tokens.get("bos_token_id"), tokens.get("eos_token_id")
    if bos is not None:
        methods["get_bos_id"] = int(bos)
    if eos is not None:
        methods["get_eos_ids"] = tuple(eos) if isinstance(eos, list | tuple) else (int(eos),)
    return methods


LOWERING: EngineLowering = ExecutorchLowering()
