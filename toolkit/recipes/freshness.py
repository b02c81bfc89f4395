"""How long a measurement counts as done: for ever, as long as the schedule says, or not at all (--again)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from toolkit.recipes.steps import Work
from toolkit.recipes.workspace import Attempt


@dataclass(frozen=True)
class Freshness:
    """One batch's rule.

    Attributes:
        fresh_s: how long a measurement counts; None: for ever.
        again: kinds of steps of which nothing counts that was begun before the batch.
        since_unix_ns: when the batch was begun.
    """

    fresh_s: float | None = None
    again: frozenset[str] = frozenset()
    since_unix_ns: int = field(default_factory=time.time_ns)

    def is_done(self, attempt: Attempt, work: Work) -> bool:
        """Whether a step need not be done, as its newest attempt ended well."""
        if attempt.outcome != "done" or work.kind in self.again:
            return False
        return self._is_young(attempt.measured_unix_ns, work)

    def goes_on(self, attempt: Attempt, work: Work) -> bool:
        """Whether what an attempt that did not end well may have measured is still wanted."""
        if attempt.outcome == "done":
            return False
        if work.kind in self.again and attempt.started_unix_ns < self.since_unix_ns:
            return False
        return self._is_young(attempt.started_unix_ns, work)

    def _is_young(self, unix_ns: int | None, work: Work) -> bool:
        if self.fresh_s is None or not work.measures:
            return True
        # Of a clock that was set back nobody knows how long ago it was.
        return unix_ns is not None and 0 <= time.time_ns() - unix_ns <= self.fresh_s * 1e9
