"""Why a run for which joules were asked has none."""

from __future__ import annotations

from toolkit.store.rows import StoredRun


def why_no_joules(stored: StoredRun) -> str | None:
    """The reason, in words for people; None for a run that has joules.

    Args:
        stored: a run that was asked for energy.
    """
    if stored.measured("joules_per_prompt") is not None:
        return None
    method = stored.run.energy
    if method is None:
        return "the runner took no samples of the battery's counters"
    return method.note or "the samples do not cover the repetitions"
