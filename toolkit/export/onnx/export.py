"""Write model.onnx and its data from a captured graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

import toolkit
from toolkit import progress
from toolkit.artifact import TensorQuantization
from toolkit.compress.plan import QuantizationPlan, Role
from toolkit.compress.tensor import QuantizedTensor
from toolkit.export.graph import DecoderGraph
from toolkit.export.onnx.builder import GraphBuilder
from toolkit.export.onnx.external_data import ExternalData
from toolkit.export.onnx.lowering import Lowering
from toolkit.export.onnx.weights import WeightStore
from toolkit.export.parameters import CacheGeometry, Weights

if TYPE_CHECKING:
    from toolkit.export.parameters import RopeTables

MODEL_FILE = "model.onnx"


@dataclass(frozen=True)
class OnnxModel:
    """What was written.

    Attributes:
        caches: KV cache geometry by layer.
        stored: quantization that each matrix really got, by parameter name.
        roles: the role of each of these.
        has_position_ids: whether the graph takes position_ids.
    """

    caches: Mapping[int, CacheGeometry]
    stored: Mapping[str, TensorQuantization]
    roles: Mapping[str, Role]
    has_position_ids: bool


def write_onnx(
    folder: Path,
    graph: DecoderGraph,
    weights: Weights,
    plan: QuantizationPlan,
    *,
    rope_tables: RopeTables,
    tied: Mapping[str, str],
    calibrated: Mapping[str, QuantizedTensor],
    all_logits: bool,
    opset: int,
    name: str,
    context_length: int,
) -> OnnxModel:
    """Lower the graph into ``folder``; one weight at a time is in memory.

    The context length goes into the model's metadata, where the runner finds it.
    """
    matrices = sum(len(shape) == 2 for shape in graph.parameters.values()) - len(tied)
    with ExternalData(folder) as data, progress.bar("quantize", unit="matrices") as report:
        builder = GraphBuilder(data)
        store = WeightStore(weights, plan, builder, calibrated, progress=lambda done: report(done, matrices))
        lowering = Lowering(graph, builder, store, rope_tables, tied=dict(tied), all_logits=all_logits)
        lowering.run()
        model = builder.model(
            name=name,
            opset=opset,
            producer_version=toolkit.__version__,
            metadata={"slm.context_length": str(context_length)},
        )
    onnx.save(model, str(folder / MODEL_FILE))
    return OnnxModel(
        caches=lowering.caches,
        stored=store.stored,
        roles=store.roles,
        has_position_ids=any(item.name == "position_ids" for item in builder.inputs),
    )
