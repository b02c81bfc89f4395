"""Which gate a run asks for."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from toolkit.request import Option, Request

GateName = Literal["off", "watch", "default", "strict"]

# What the runner waits longer than the host does: readings that take their time must not make it give up.
_RUNNER_GRACE_S = 60.0


class GateOptions(Request):
    """Which gate, and what replaces its limits.

    Attributes:
        name: a set of limits; see :func:`limits_for`.
        max_celsius: hottest CPU zone.
        max_cpu_busy: fraction 0..1.
        min_battery_percent: charge level.
        time_limit_s: how long one repetition may wait.
    """

    name: Annotated[
        GateName,
        Option(
            "Wait until the device is cool and idle: off, watch (only read), default or strict.",
            flags=("--gate",),
        ),
    ] = "default"
    max_celsius: Annotated[
        float | None, Field(ge=1), Option("Gate: hottest CPU zone (phones 40, strict 35).")
    ] = None
    max_cpu_busy: Annotated[
        float | None,
        Field(ge=0.01, le=1),
        Option("Gate: busy part of the CPUs (phones 0.3, strict 0.2)."),
    ] = None
    min_battery_percent: Annotated[
        int | None,
        Field(ge=0, le=100),
        Option("Gate: charge in percent (20, strict 50).", flags=("--min-battery",)),
    ] = None
    time_limit_s: Annotated[
        float,
        Field(ge=0),
        Option("Seconds that one repetition may wait at the gate.", flags=("--gate-limit",)),
    ] = 300

    @model_validator(mode="after")
    def _limits_of_a_gate(self) -> Self:
        replaced = (self.max_celsius, self.max_cpu_busy, self.min_battery_percent)
        if self.name in ("off", "watch") and replaced != (None, None, None):
            raise ValueError(f"gate {self.name} asks for nothing, so limits mean nothing: leave one out")
        return self

    @property
    def runner_timeout_s(self) -> int:
        """How long the runner waits before it takes the host for gone."""
        return round(self.time_limit_s + _RUNNER_GRACE_S)
