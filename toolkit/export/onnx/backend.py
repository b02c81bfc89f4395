"""Lowering for ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import onnx

from toolkit.engines.onnxruntime import ONNXRUNTIME
from toolkit.errors import UsageError
from toolkit.export import facts
from toolkit.export.lowering import EngineLowering, LoweredModel, LoweringJob
from toolkit.export.onnx.export import write_onnx
from toolkit.export.onnx.genai_config import has_genai_config, write_genai_config

OLDEST_OPSET = 20


class OnnxLowering:
    """Writes model.onnx with external data, and a genai_config.json."""

    def opset(self, asked: int | None) -> int | None:
        """One that the engine and this toolkit know."""
        wanted = ONNXRUNTIME.capabilities.default_opset if asked is None else asked
        known = int(onnx.defs.onnx_opset_version())
        newest = min(known, ONNXRUNTIME.capabilities.newest_opset or known)
        if wanted is None or not OLDEST_OPSET <= wanted <= newest:
            nearest = min(max(wanted or newest, OLDEST_OPSET), newest)
            raise UsageError(
                f"--opset {wanted}: {OLDEST_OPSET} to {newest} are possible",
                next_step=f"Pass --opset {nearest}, or leave it out.",
            )
        return wanted

    def write(self, folder: Path, job: LoweringJob) -> LoweredModel:
        """Lower, and describe the result for onnxruntime-genai."""
        model = write_onnx(folder, job)
        if has_genai_config(job.layers):
            write_genai_config(
                folder,
                facts.architecture(job.config, job.graph, job.layers, model, job.tied),
                context_length=job.context_length,
                has_position_ids=model.has_position_ids,
                tokens=dict(job.tokens),
            )
        return model


LOWERING: EngineLowering = OnnxLowering()
