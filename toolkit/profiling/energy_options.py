"""How energy is measured, as asked for."""

from __future__ import annotations

from pydantic import Field

from toolkit.artifact import Frozen


class EnergyOptions(Frozen):
    """How energy is measured.

    Attributes:
        allow_charging: measure with external power attached as well; the run is marked.
        interval_ms: between two samples of the counters.
        baseline_s: how long the idle device is watched before the repetitions.
    """

    allow_charging: bool = False
    interval_ms: int = Field(100, ge=1)
    baseline_s: float = Field(10, ge=1)
