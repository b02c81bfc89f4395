"""Write model.pte from a captured graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit import progress
from toolkit.artifact import TensorQuantization
from toolkit.compress.plan import Role
from toolkit.engines.executorch import EXECUTORCH
from toolkit.export.executorch.lowering import Lowering
from toolkit.export.executorch.partition import Partition
from toolkit.export.executorch.program import Constant, Method
from toolkit.export.executorch.program_data import WeightStore
from toolkit.export.executorch.recurrences import longest_chunk
from toolkit.export.executorch.segments import Segments
from toolkit.export.lowering import LoweringJob
from toolkit.models.layers import Layer, attention_of

# Tokens of one prefill call. More would only enlarge the buffers: the kernels are saturated long before.
LONGEST_CHUNK = 512


@dataclass(frozen=True)
class ExecutorchModel:
    """What was written.

    Attributes:
        stored: quantization that each matrix really got, by parameter name.
        roles: the role of each of these.
        runtimes: None, every one of the engine's runs it.
    """

    stored: Mapping[str, TensorQuantization]
    roles: Mapping[str, Role]
    runtimes: tuple[str, ...] | None = None


def write_executorch(folder: Path, job: LoweringJob, *, metadata: Mapping[str, Constant]) -> ExecutorchModel:
    """Lower the graph into ``folder``; one weight at a time is in memory.

    Args:
        folder: exists.
        job: with a plan within :func:`toolkit.compress.adaptation.check_supported`.
        metadata: further constant methods.
    """
    matrices = sum(len(shape) in (2, 3) for shape in job.graph.parameters.values()) + len(job.tied)
    longest = longest_chunk(job.graph, min(LONGEST_CHUNK, job.context_length))
    constants: dict[str, Constant] = {
        "get_max_seq_len": longest,
        "get_max_context_len": job.context_length,
        "use_kv_cache": True,
        "use_sdpa_with_kv_cache": True,
        "enable_dynamic_shape": True,
        **metadata,
    }
    with Segments(folder) as segments, progress.bar("quantize", unit="matrices") as report:
        method = Method("forward", segments)
        store = WeightStore(
            job.weights,
            job.plan,
            segments,
            job.tied,
            job.calibrated,
            progress=lambda done: report(done, matrices),
        )
        partition = Partition(job.graph, method, store, longest=longest, context_length=job.context_length)
        lowering = Lowering(
            partition, job.rope_tables, job.position_tables, tied=job.tied, all_logits=job.all_logits
        )
        lowering.run()
        method.write(folder / EXECUTORCH.model_file, constants | _cache_facts(job.layers))
    return ExecutorchModel(stored=store.stored, roles=store.roles)


def _cache_facts(layers: Sequence[Layer]) -> dict[str, Constant]:
    """Constant methods about the KV cache, by optimum-executorch's names; what differs by layer has none."""
    facts: dict[str, Constant] = {"get_n_layers": len(layers)}
    sizes = {(attention.kv_heads, attention.head_dim) for attention in attention_of(layers)}
    if len(sizes) == 1:
        facts["get_n_kv_heads"], facts["get_head_dim"] = sizes.pop()
    return facts
