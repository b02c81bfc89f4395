"""ONNX Runtime as an export backend."""

from __future__ import annotations

from pathlib import Path

import onnx

from toolkit.compress.plan import QuantizationPlan
from toolkit.errors import UsageError
from toolkit.export import facts
from toolkit.export.backends import ExportBackend, LoweredModel, LoweringJob
from toolkit.export.onnx.export import MODEL_FILE, write_onnx
from toolkit.export.onnx.genai_config import write_genai_config
from toolkit.inference.decoder import Decoder
from toolkit.inference.onnxruntime_session import OnnxDecoder

DEFAULT_OPSET = 21
OLDEST_OPSET = 20


class OnnxBackend:
    """Writes model.onnx with external data, and a genai_config.json."""

    model_file = MODEL_FILE
    packages: tuple[str, ...] = ("onnxruntime", "onnx")

    def check(self, plan: QuantizationPlan, opset: int | None) -> int:
        """Every scheme is supported; the opset must be one that the engine and this toolkit know."""
        wanted = DEFAULT_OPSET if opset is None else opset
        newest = int(onnx.defs.onnx_opset_version())
        if not OLDEST_OPSET <= wanted <= newest:
            raise UsageError(f"--opset {wanted}: {OLDEST_OPSET} to {newest} are possible")
        return wanted

    def write(self, folder: Path, job: LoweringJob) -> LoweredModel:
        """Lower, and describe the result for onnxruntime-genai."""
        model = write_onnx(folder, job)
        write_genai_config(
            folder,
            facts.architecture(job.config, job.graph, job.layers, model, job.tied),
            context_length=job.context_length,
            has_position_ids=model.has_position_ids,
            tokens=dict(job.tokens),
        )
        return model

    def decoder(self, folder: Path, capacity: int) -> Decoder:
        """Load with a KV cache of just the capacity."""
        return OnnxDecoder(folder / MODEL_FILE, capacity)


BACKEND: ExportBackend = OnnxBackend()
