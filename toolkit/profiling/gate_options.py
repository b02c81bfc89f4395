"""Which gate a run asks for."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from toolkit.artifact import Frozen
from toolkit.errors import UsageError

GateName = Literal["off", "default", "strict"]

# What the runner waits longer than the host does: readings that take their time must not make it give up.
_RUNNER_GRACE_S = 60.0


class GateOptions(Frozen):
    """Which gate, and what replaces its limits.

    Attributes:
        name: a set of limits; see :func:`limits_for`.
        max_celsius: hottest CPU zone.
        max_cpu_busy: fraction 0..1.
        min_battery_percent: charge level.
        time_limit_s: how long one repetition may wait.
    """

    name: GateName = "default"
    max_celsius: float | None = Field(None, gt=0)
    max_cpu_busy: float | None = Field(None, gt=0, le=1)
    min_battery_percent: int | None = Field(None, ge=0, le=100)
    time_limit_s: float = Field(300, ge=0)

    @property
    def runner_timeout_s(self) -> int:
        """How long the runner waits before it takes the host for gone."""
        return round(self.time_limit_s + _RUNNER_GRACE_S)


def gate_options(name: str, **replaced: float | int | None) -> GateOptions:
    """Options from a command line.

    Raises:
        UsageError: no such gate, or limits for a gate that is off.
    """
    if name not in get_args(GateName):
        raise UsageError(f"Unknown gate {name!r}.", next_step=f"Available: {', '.join(get_args(GateName))}")
    given = {key: value for key, value in replaced.items() if value is not None}
    if name == "off" and given.keys() - {"time_limit_s"}:
        raise UsageError("--gate off asks for nothing, so limits mean nothing", next_step="Leave one out.")
    return GateOptions.model_validate({"name": name, **given})
