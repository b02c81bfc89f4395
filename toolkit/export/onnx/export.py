"""Write model.onnx and its data from a captured graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

import toolkit
from toolkit import progress
from toolkit.artifact import TensorQuantization
from toolkit.compress.plan import Role
from toolkit.engines.onnxruntime import ONNXRUNTIME
from toolkit.export.lowering import LoweringJob
from toolkit.export.onnx.builder import GraphBuilder
from toolkit.export.onnx.external_data import ExternalData
from toolkit.export.onnx.genai_config import has_genai_config
from toolkit.export.onnx.initializers import WeightStore
from toolkit.export.onnx.lowering import Lowering
from toolkit.models.layers import states_of


@dataclass(frozen=True)
class OnnxModel:
    """What was written.

    Attributes:
        stored: quantization that each matrix really got, by parameter name.
        roles: the role of each of these.
        has_position_ids: whether the graph takes position_ids.
        runtimes: programs that can run it; None for every one of the engine's.
    """

    stored: Mapping[str, TensorQuantization]
    roles: Mapping[str, Role]
    has_position_ids: bool
    runtimes: tuple[str, ...] | None


def write_onnx(folder: Path, job: LoweringJob) -> OnnxModel:
    """Lower the graph into ``folder``; one weight at a time is in memory.

    The context length goes into the model's metadata, where the runner finds it.
    """
    assert job.opset is not None, "the backend's check() yields an opset"
    matrices = sum(len(shape) in (2, 3) for shape in job.graph.parameters.values()) - len(job.tied)
    with ExternalData(folder) as data, progress.bar("quantize", unit="matrices") as report:
        builder = GraphBuilder(data)
        store = WeightStore(
            job.weights, job.plan, builder, job.calibrated, progress=lambda done: report(done, matrices)
        )
        tied = dict(job.tied)
        states = states_of(job.layers)
        lowering = Lowering(
            job.graph,
            builder,
            store,
            job.rope_tables,
            job.position_tables,
            states,
            tied=tied,
            all_logits=job.all_logits,
        )
        lowering.run()
        model = builder.model(
            name=job.name,
            opset=job.opset,
            producer_version=toolkit.__version__,
            metadata={"slm.context_length": str(job.context_length)},
        )
    onnx.save(model, str(folder / ONNXRUNTIME.model_file))
    return OnnxModel(
        stored=store.stored,
        roles=store.roles,
        has_position_ids=any(item.name == "position_ids" for item in builder.inputs),
        # onnxruntime-genai binds keys and values of every layer, and no other states.
        runtimes=None if has_genai_config(job.layers) else ("onnxruntime", "slm-runner-ort"),
    )
