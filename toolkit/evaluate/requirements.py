"""What an artifact must reach: "perplexity_ratio <= 1.05", "arc_easy >= 0.95x source"."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from toolkit.errors import UsageError

# Figures over a text; every other name is a task's.
TEXT_FIGURES = (
    "perplexity",
    "perplexity_ratio",
    "mean_kl",
    "top1_agreement",
    "top5_agreement",
)
_COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_FORM = re.compile(
    r"\s*([\w./-]+)\s*(<=|>=|<|>)\s*((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(x\s*source)?\s*", re.I
)


@dataclass(frozen=True)
class Requirement:
    """A limit of one figure.

    Attributes:
        name: of a figure over a text, or of a task.
        comparison: "<=" and the like.
        value: the limit.
        of_source: the limit is this many times the source's own figure.
    """

    name: str
    comparison: str
    value: float
    of_source: bool

    @property
    def over_text(self) -> bool:
        """Whether it is a figure over a text."""
        return self.name in TEXT_FIGURES

    def __str__(self) -> str:
        # All digits, so that what is printed is the same limit when it is given again.
        number = repr(self.value).removesuffix(".0")
        return f"{self.name} {self.comparison} {number}{'x source' if self.of_source else ''}"

    def met_by(self, figure: float, source: float | None = None) -> bool:
        """Whether a figure is within the limit; NaN never is."""
        limit = self.value
        if self.of_source:
            assert source is not None
            limit *= source
        return _COMPARED[self.comparison](figure, limit)


def parse_requirement(text: str) -> Requirement:
    """Read a limit.

    Raises:
        UsageError: it is none.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise UsageError(
            f"--require {text!r} is no limit",
            next_step='Write a name, <= or >= and a number: "perplexity_ratio <= 1.05", '
            '"arc_easy >= 0.95x source".',
        )
    name, comparison, value, of_source = found.groups()
    return Requirement(name, comparison, float(value), of_source is not None)


def check_readable(texts: Sequence[str], *, with_text: bool) -> list[Requirement]:
    """Read limits before anything is measured.

    Args:
        texts: the limits.
        with_text: whether there is a text to take figures over.

    Raises:
        UsageError: one that cannot be read or measured.
    """
    limits = [parse_requirement(one) for one in texts]
    for limit in limits:
        if limit.over_text and not with_text:
            raise UsageError(f"--require '{limit}' needs a text", next_step="Pass --check-text FILE.")
        if limit.over_text and limit.of_source and limit.name != "perplexity":
            raise UsageError(
                f"--require '{limit}': {limit.name} is against the source already",
                next_step="Leave 'x source' out.",
            )
    return limits
