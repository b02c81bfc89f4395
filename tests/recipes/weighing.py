"""A made-up kind of step, as somebody outside of the toolkit would add it: it weighs artifacts.

Run as a program it is `slm` with that kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from toolkit.errors import UsageError
from toolkit.recipes import fingerprints
from toolkit.recipes.axes import Section
from toolkit.recipes.kinds.convert import converted
from toolkit.recipes.planning import Planning, is_known, unknown_key
from toolkit.recipes.share import obtained
from toolkit.recipes.step_kinds import STEP_KINDS, StepKind
from toolkit.recipes.steps import Stage, Step, Work
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings

UNITS = {"kilobytes": 1e3, "megabytes": 1e6}


class Weigh(Section):
    """Weigh what was converted."""

    unit: str = "megabytes"


class WeighWork(Work):
    """Weigh one artifact."""

    kind: ClassVar = "weigh"
    stage: ClassVar = "results"

    artifact: str
    unit: str

    def run(self, workspace: Workspace, settings: Settings) -> dict[str, Any]:
        scale = _scale(workspace)
        scale.parent.mkdir(exist_ok=True)
        scale.write_text("in use")
        if self.unit not in UNITS:
            raise UsageError(f"nobody weighs in {self.unit}", next_step=f"Use one of {', '.join(UNITS)}.")
        scale.unlink()
        return {"weight": obtained(self.artifact, workspace).manifest.size_bytes / UNITS[self.unit]}

    def remove_leftovers(self, key: str, workspace: Workspace) -> None:
        _scale(workspace).unlink(missing_ok=True)


class WeighKind(StepKind):
    """One step for each conversion."""

    stage: ClassVar[Stage] = "results"
    section = Weigh

    def plan(self, planning: Planning) -> Sequence[Step]:
        asked: Weigh | None = getattr(planning.loaded.recipe, "weigh")  # noqa: B009
        if asked is None:
            return []
        return [_step(conversion, asked.unit, planning) for conversion in converted(planning).values()]


KIND = WeighKind()


def _step(conversion: Step, unit: str, planning: Planning) -> Step:
    title, needs = f"weigh {conversion.title.removeprefix('convert ')}", (conversion.key,)
    known = is_known(conversion.key)
    key = fingerprints.digest(["weigh", conversion.key, unit]) if known else unknown_key(title, needs)
    work = WeighWork(artifact=conversion.key, unit=unit)
    return Step(key, title, work, planning.recorded_state(key, work), needs=needs)


def _scale(workspace: Workspace) -> Path:
    return workspace.root / "scales" / "scale"


if __name__ == "__main__":
    # By name: the processes that do the work must find the classes there, not in this program.
    STEP_KINDS.register("weigh", "weighing:KIND")
    from toolkit.cli.main import main

    main()
