"""What `slm doctor` finds: one line per check, each with what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]

# As exit codes: 0, 1, 2.
LEVELS: tuple[Level, ...] = ("ok", "warn", "fail")


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        subject: "host" or a device's serial.
        check: what was looked at.
        level: fail stops a run, warn costs something.
        found: what was found, in words with figures.
        next_step: what to do about a level other than ok.
    """

    subject: str
    check: str
    level: Level
    found: str
    next_step: str | None = None


def exit_code(findings: Sequence[Finding]) -> int:
    """0 when all is well, 1 with a warning, 2 when something would stop a run."""
    return max((LEVELS.index(finding.level) for finding in findings), default=0)
