"""Which candidates to build next, given what was measured of others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from statistics import fmean

from toolkit.analysis.pareto import pareto_front
from toolkit.autotune.candidates import Candidate
from toolkit.autotune.request import AutotuneRequest

# Sizes are estimated within 3 %: what is a little too large may fit.
_SLACK = 1.03
# Built and measured at once; the guesses of the others are corrected after them.
_AT_ONCE = 2


@dataclass(frozen=True)
class Measured:
    """A candidate that was built.

    Attributes:
        artifact: its folder.
        size_bytes: of the artifact.
        loss: mean KL(source || artifact) over the text, nats per token.
        perplexity_ratio: the artifact's perplexity over the source's.
        tokens_per_second: decoded; None where no device was asked.
    """

    candidate: Candidate
    artifact: Path
    size_bytes: int
    loss: float
    perplexity_ratio: float
    tokens_per_second: float | None = None

    def costs(self) -> tuple[float, ...]:
        """Size, loss and time, the smaller the better; bytes that a token reads stand for a missing speed."""
        speed = self.tokens_per_second
        return (self.size_bytes, self.loss, self.candidate.decode_bytes if speed is None else -speed)

    def within(self, request: AutotuneRequest) -> bool:
        """Whether it keeps all limits."""
        return (
            (request.max_mb is None or self.size_bytes <= request.max_mb * 1e6)
            and (request.max_loss is None or self.loss <= request.max_loss)
            and (
                request.min_speed is None
                or (self.tokens_per_second is not None and self.tokens_per_second >= request.min_speed)
            )
        )


def small_enough(found: Sequence[Candidate], max_mb: float | None) -> list[Candidate]:
    """Candidates that may fit into a size."""
    return [one for one in found if max_mb is None or one.size_bytes <= _SLACK * max_mb * 1e6]


def first_ones(found: Sequence[Candidate], default: str, count: int) -> list[Candidate]:
    """What to begin with: the default preset, and the guessed front from its largest to its smallest.

    Args:
        found: candidates.
        default: the preset that a conversion takes when nothing is said.
        count: how many at most.
    """
    front = pareto_front(found, lambda one: (float(one.size_bytes), one.guess))
    plain = [one for one in found if one.request.quant == default and one.label.endswith(default)]
    step = (len(front) - 1) / max(count - 1 - len(plain[:1]), 1)
    spread = [
        front[round(len(front) - 1 - step * index)] for index in range(count) if step * index < len(front)
    ]
    return list(dict.fromkeys([*plain[:1], *spread]))[:count]


def next_ones(
    found: Sequence[Candidate],
    tried: Sequence[Candidate],
    measured: Sequence[Measured],
    request: AutotuneRequest,
    count: int = _AT_ONCE,
) -> list[Candidate]:
    """Candidates that should move the measured front most; none where no guess is beyond it.

    Args:
        found: all candidates that may fit.
        tried: those of them that were built, or could not be.
        measured: what came of those that could.
        request: the limits.
        count: how many at most.
    """
    factors = _corrections(measured)
    hoped: dict[Candidate, float] = {}
    for one in found:
        if one in tried:
            continue
        guess = one.guess * factors.get(one.request.quant, factors.get("", 1.0))
        smaller = [other.loss for other in measured if other.size_bytes <= one.size_bytes]
        best = min(smaller, default=max((other.loss for other in measured), default=guess))
        if request.max_loss is not None and not smaller:
            best = request.max_loss
        if guess < best:
            hoped[one] = guess / best
    return sorted(hoped, key=lambda one: (hoped[one], one.size_bytes))[:count]


def _corrections(measured: Sequence[Measured]) -> Mapping[str, float]:
    """What guesses were off by, per scheme or preset, and over all of them under the empty name."""
    off: dict[str, list[float]] = defaultdict(list)
    for one in measured:
        if one.loss > 0 and one.candidate.guess > 0:
            for name in (one.candidate.request.quant, ""):
                off[name].append(log(one.loss / one.candidate.guess))
    return {name: exp(fmean(some)) for name, some in off.items()}
