"""What the runner's mode `measure` says, schema slm-roofline/1; docs/runner.md has the definitions."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from toolkit.errors import ResultInvalid, first_line


class RooflinePoint(BaseModel):
    """With so many threads.

    Attributes:
        threads: that work at the same time.
        read_bytes_per_second: of memory.
        int8_ops_per_second: multiplications and additions of 8-bit products.
        float_ops_per_second: those of floats in registers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: PositiveInt
    read_bytes_per_second: PositiveInt
    int8_ops_per_second: PositiveInt
    float_ops_per_second: PositiveInt


class Roofline(BaseModel):
    """What a device can do at most.

    Attributes:
        kernels: the set that multiplied.
        cpus: that the process may use.
        buffer_bytes: that were read.
        passes: of which the best counts.
        points: one for each thread count.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_: Literal["slm-roofline/1"] = Field(alias="schema")
    run_id: str
    runner_version: str
    abi: str
    kernels: str
    cpus: PositiveInt
    buffer_bytes: PositiveInt
    passes: PositiveInt
    points: tuple[RooflinePoint, ...] = Field(min_length=1)


def parse_roofline(text: str, *, run_id: str, subject: str) -> Roofline:
    """Read what the runner printed.

    Raises:
        ResultInvalid: cut short, malformed, or of another run.
    """
    try:
        found = Roofline.model_validate(json.loads(text))
    except (json.JSONDecodeError, ValidationError) as error:
        raise ResultInvalid(
            f"what the runner measured cannot be read: {first_line(error)}",
            subject=subject,
            next_step="Run it again.",
        ) from None
    if found.run_id != run_id:
        raise ResultInvalid(
            f"what was measured belongs to run {found.run_id!r}, not {run_id!r}",
            subject=subject,
            next_step="Run it again.",
        )
    return found
