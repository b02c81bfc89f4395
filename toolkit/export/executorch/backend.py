"""ExecuTorch as an export backend."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from toolkit.compress.plan import QuantizationPlan
from toolkit.errors import UsageError
from toolkit.export.backends import ExportBackend, LoweredModel, LoweringJob
from toolkit.export.executorch.schemes import check_supported
from toolkit.inference.decoder import Decoder

if find_spec("executorch") is None:
    raise UsageError(
        "--backend executorch needs the package executorch, which is not installed",
        next_step="pip install 'slm-toolkit[convert,executorch]'",
    )

from toolkit.export.executorch.export import MODEL_FILE, write_executorch
from toolkit.inference.executorch_session import ExecutorchDecoder


class ExecutorchBackend:
    """Writes model.pte, XNNPACK delegates around llama's attention kernels."""

    model_file = MODEL_FILE
    packages: tuple[str, ...] = ("executorch",)

    def check(self, plan: QuantizationPlan, opset: int | None) -> None:
        """Refuse schemes that XNNPACK lacks, and an ONNX opset."""
        if opset is not None:
            raise UsageError("--opset is for ONNX; it has no meaning with --backend executorch")
        check_supported(plan)

    def write(self, folder: Path, job: LoweringJob) -> LoweredModel:
        """Lower into one program file."""
        return write_executorch(folder, job, metadata=_token_methods(job.config, job.tokens))

    def decoder(self, folder: Path, capacity: int) -> Decoder:
        """Load; the KV cache has the artifact's context length, whatever the capacity."""
        return ExecutorchDecoder(folder / MODEL_FILE)


def _token_methods(config: Any, tokens: Mapping[str, Any]) -> dict[str, int | tuple[int, ...]]:
    """Constant methods about the vocabulary, by the names that ExecuTorch's own LLM runner looks for."""
    methods: dict[str, int | tuple[int, ...]] = {"get_vocab_size": int(config.vocab_size)}
    bos, eos = tokens.get("bos_token_id"), tokens.get("eos_token_id")
    if bos is not None:
        methods["get_bos_id"] = int(bos)
    if eos is not None:
        methods["get_eos_ids"] = tuple(eos) if isinstance(eos, list | tuple) else (int(eos),)
    return methods


BACKEND: ExportBackend = ExecutorchBackend()
