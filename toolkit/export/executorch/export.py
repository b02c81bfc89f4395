"""Write model.pte from a captured graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit import progress
from toolkit.artifact import TensorQuantization
from toolkit.compress.plan import QuantizationPlan, Role
from toolkit.compress.tensor import QuantizedTensor
from toolkit.export.executorch.lowering import Lowering
from toolkit.export.executorch.partition import Partition
from toolkit.export.executorch.program import Constant, Method
from toolkit.export.executorch.segments import Segments
from toolkit.export.executorch.weights import WeightStore
from toolkit.export.graph import DecoderGraph
from toolkit.export.parameters import CacheGeometry, Weights

if TYPE_CHECKING:
    from toolkit.export.parameters import RopeTables

MODEL_FILE = "model.pte"
# Tokens of one prefill call. More would only enlarge the buffers: the kernels are saturated long before.
LONGEST_CHUNK = 512


@dataclass(frozen=True)
class ExecutorchModel:
    """What was written.

    Attributes:
        caches: KV cache geometry by layer.
        stored: quantization that each matrix really got, by parameter name.
        roles: the role of each of these.
    """

    caches: Mapping[int, CacheGeometry]
    stored: Mapping[str, TensorQuantization]
    roles: Mapping[str, Role]


def write_executorch(
    folder: Path,
    graph: DecoderGraph,
    weights: Weights,
    plan: QuantizationPlan,
    *,
    rope_tables: RopeTables,
    tied: Mapping[str, str],
    calibrated: Mapping[str, QuantizedTensor],
    all_logits: bool,
    context_length: int,
    metadata: Mapping[str, Constant],
) -> ExecutorchModel:
    """Lower the graph into ``folder``.

    Args:
        folder: exists.
        graph: the captured decoder.
        weights: reads parameters as float32.
        plan: quantization of every tensor; within :func:`toolkit.export.executorch.schemes.check_supported`.
        rope_tables: yields the tables of a rotary embedding.
        tied: parameter that is an alias -> the parameter that is stored.
        calibrated: matrices that were quantized for their inputs already, by name.
        all_logits: logits of every position instead of the last one only.
        context_length: tokens that the KV cache holds.
        metadata: further constant methods.
    """
    matrices = sum(len(shape) == 2 for shape in graph.parameters.values()) + len(tied)
    longest = min(LONGEST_CHUNK, context_length)
    constants: dict[str, Constant] = {
        "get_max_seq_len": longest,
        "get_max_context_len": context_length,
        "use_kv_cache": True,
        "use_sdpa_with_kv_cache": True,
        "enable_dynamic_shape": True,
        **metadata,
    }
    with Segments(folder) as segments, progress.bar("quantize", unit="matrices") as report:
        method = Method("forward", segments)
        store = WeightStore(
            weights, plan, segments, tied, calibrated, progress=lambda done: report(done, matrices)
        )
        partition = Partition(graph, method, store, longest=longest, context_length=context_length)
        caches = Lowering(partition, rope_tables, tied=tied, all_logits=all_logits).run()
        method.write(folder / MODEL_FILE, constants | _cache_facts(caches))
    return ExecutorchModel(caches=caches, stored=store.stored, roles=store.roles)


def _cache_facts(caches: Mapping[int, CacheGeometry]) -> dict[str, Constant]:
    """Constant methods about the KV cache, by optimum-executorch's names; what differs by layer has none."""
    facts: dict[str, Constant] = {"get_n_layers": len(caches)}
    geometries = set(caches.values())
    if len(geometries) == 1:
        geometry = geometries.pop()
        facts |= {"get_n_kv_heads": geometry.kv_heads, "get_head_dim": geometry.head_dim}
    return facts
