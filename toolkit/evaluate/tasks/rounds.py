"""What a request asks of tasks: which, with how many examples, and how many items."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import TaskDataMissing, ToolkitError, UsageError
from toolkit.evaluate.request import TaskRequest
from toolkit.evaluate.tasks import harness
from toolkit.evaluate.tasks.presets import PRESETS, Round


@dataclass(frozen=True)
class Work:
    """What a request asks for: rounds of tasks, and how many items of each."""

    rounds: tuple[Round, ...]
    limit: int | None


def work_of(request: TaskRequest) -> Work:
    """The rounds of a preset, or the tasks named, as one.

    Raises:
        UsageError: no task, or shots or other tasks beside a preset that says them itself.
    """
    names = tuple(name.strip() for name in (request.tasks or "").split(",") if name.strip())
    if not names:
        raise UsageError("no task to run", next_step=f"Pass --tasks a,b or a preset: {', '.join(PRESETS)}.")
    if len(names) == 1 and names[0] in PRESETS:
        preset = PRESETS[names[0]]
        if request.shots is not None:
            raise UsageError(
                f"--shots: the preset {names[0]} says how many itself",
                next_step="Leave --shots out, or name the tasks.",
            )
        return Work(preset.rounds, request.limit or preset.limit)
    if mixed := [name for name in names if name in PRESETS]:
        raise UsageError(
            f"--tasks {request.tasks}: the preset {mixed[0]} says shots and items itself and stands alone",
            next_step=f"Evaluate twice, with --tasks {mixed[0]} and with the others: what is stored is shown "
            "together.",
        )
    return Work((Round(names, request.shots),), request.limit)


def lacks_of(
    request: TaskRequest, known: dict[Path | None, harness.Tasks] | None = None
) -> list[ToolkitError]:
    """What would keep these tasks from being asked, as far as that shows without reading their data.

    Args:
        request: what is asked.
        known: the tasks of folders that were read before; reading takes a while.
    """
    known = {} if known is None else known
    try:
        rounds = work_of(request).rounds
        harness.prepare()
        if request.include_path not in known:
            known[request.include_path] = harness.Tasks(request.include_path)
    except UsageError as error:
        return [error]
    tasks = known[request.include_path]
    found: list[ToolkitError] = []
    without_data: dict[str, TaskDataMissing] = {}
    for name in dict.fromkeys(name for one in rounds for name in one.tasks):
        try:
            tasks.check(name)
        except TaskDataMissing as error:
            without_data[name] = error
        except ToolkitError as error:
            found.append(error)
    if len(without_data) > 1:
        return [*found, harness.all_without_data(without_data, request.tasks or "")]
    return [*found, *without_data.values()]
