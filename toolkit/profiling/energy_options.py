"""How energy is measured, as asked for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from toolkit.request import Flag, Option, Request


class EnergyOptions(Request):
    """How energy is measured.

    Attributes:
        allow_charging: measure with external power attached as well; the run is marked.
        interval_ms: between two samples of the counters.
        baseline_s: how long the idle device is watched before the repetitions.
    """

    allow_charging: Annotated[
        Flag,
        Option("With --energy: measure although it charges; the run is marked.", flags=("--allow-charging",)),
    ] = False
    interval_ms: Annotated[
        int, Field(ge=1), Option("Milliseconds between two samples of the counters.", flags=None)
    ] = 100
    baseline_s: Annotated[
        float,
        Field(ge=1),
        Option("With --energy: seconds to watch the idle device before.", flags=("--energy-baseline",)),
    ] = 10
