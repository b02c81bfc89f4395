"""What the peak memory of a run was made of."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.profiling.records import Memory
from toolkit.store.measurements import measurement
from toolkit.store.rows import Measurement


def memory_parts(memory: Memory) -> Iterator[Measurement]:
    """The parts of the peak, which sum to it; none where the device did not tell them.

    What the engine does not tell apart (weights that it packed itself, states among activations) is in
    "compute". What was in memory at the peak and no longer after the last repetition is "other".
    """
    mapped, engine, anonymous = memory.mapped_model_bytes, memory.mapped_other_bytes, memory.anonymous_bytes
    if mapped is None or engine is None or anonymous is None:
        return
    told = {"weights_packed": memory.packed_weights_bytes, "states": memory.states_bytes}
    apart = sum(value for value in told.values() if value is not None)
    later = memory.peak_bytes - mapped - engine - anonymous
    # The kernel's counters of resident pages lag behind its table of mappings.
    compute = anonymous - apart + min(later, 0)
    if compute < 0:
        return
    parts = {"weights_mapped": mapped, **told, "compute": compute, "engine": engine, "other": max(later, 0)}
    for name, value in parts.items():
        if value is not None:
            yield measurement(f"memory_{name}_bytes", value)
