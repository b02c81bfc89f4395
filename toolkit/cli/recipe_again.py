"""The option --again of `slm recipe`: what was measured before is measured anew."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

_EVERYTHING = "all"

AGAIN = typer.Option(
    None,
    "--again",
    metavar="[KIND]",
    help="Measure again what was measured before: all kinds of steps that measure, or one, e.g. profile.",
)


class WithAgain(TyperCommand):
    """A command whose --again may be given without a value, wherever it stands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give a bare --again its value."""
        from toolkit.recipes.step_kinds import STEP_KINDS

        given = list(args)
        for index, word in enumerate(args):
            following = args[index + 1] if index + 1 < len(args) else None
            if word == "--again" and following not in STEP_KINDS:
                given[index] = f"--again={_EVERYTHING}"
        return super().parse_args(ctx, given)


def measured_again(again: str | None) -> tuple[str, ...]:
    """The kinds that --again means.

    Raises:
        UsageError: a kind whose steps come out the same however often they are done.
    """
    from toolkit.errors import UsageError
    from toolkit.recipes.step_kinds import measuring_kinds

    measuring = tuple(measuring_kinds())
    if again is None:
        return ()
    if again == _EVERYTHING:
        return measuring
    if again not in measuring:
        raise UsageError(
            f"--again {again}: steps of this kind measure nothing, they come out the same again",
            next_step=f"Use --again, or one of {', '.join(measuring)}. What is deleted is made again.",
        )
    return (again,)
