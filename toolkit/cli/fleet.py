"""Showing work on several devices: errors as they come, a summary at the end, one exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from toolkit.devices.parallel import Outcome
    from toolkit.progress import ShowProgress

T = TypeVar("T")

DEVICES_HELP = (
    "Serial, name, ssh:USER@HOST, local, or all for every attached phone; may be repeated. Default: that of "
    "`slm config`, else the attached phone when there is just one, else this machine."
)


def run_on_devices(serials: Sequence[str], work: Callable[[str, ShowProgress], T]) -> list[Outcome[T]]:
    """Do the work on each device and show how it goes; several at once, see devices.parallel."""
    from toolkit.devices.parallel import on_each_device
    from toolkit.progress import bar, shared_bars

    if len(serials) == 1:
        return on_each_device(serials, lambda serial: work(serial, bar), on_done=_show_error)
    with shared_bars() as show_progress:
        outcomes = on_each_device(serials, lambda serial: work(serial, show_progress), on_done=_show_end)
    _summarize(outcomes)
    return outcomes


def exit_with_first_failure(outcomes: Sequence[Outcome[T]]) -> None:
    """End the command with the exit code of the first device, in their order, that failed."""
    for outcome in outcomes:
        if outcome.error is not None:
            raise typer.Exit(outcome.error.exit_code)


def _show_error(outcome: Outcome[T]) -> None:
    if outcome.error is not None:
        _say(f"error: {outcome.error}")


def _show_end(outcome: Outcome[T]) -> None:
    _show_error(outcome)
    if outcome.error is None:
        _remark(f"{outcome.serial}: done after {outcome.seconds:.1f} s")


def _summarize(outcomes: Sequence[Outcome[T]]) -> None:
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    _remark(f"{len(outcomes) - len(failed)} of {len(outcomes)} devices done")
    for outcome in failed:
        _say(f"  {outcome.serial}: {type(outcome.error).__name__} after {outcome.seconds:.1f} s")


def _say(text: str) -> None:
    from toolkit.progress import say

    say(text)


def _remark(text: str) -> None:
    from toolkit.progress import remark

    remark(text)
