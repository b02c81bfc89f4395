"""Profile runs: every artifact on every device, for each combination of the section `profile`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Self

from pydantic import Field, SerializeAsAny

from toolkit.errors import RuntimeBundleError, ToolkitError
from toolkit.profiling.description import PROTOCOL, Origin
from toolkit.profiling.request import ProfileRequest
from toolkit.recipes import fingerprints, matrix
from toolkit.recipes.kinds.convert import converted
from toolkit.recipes.planning import Planning, is_known, unknown_key
from toolkit.recipes.run_ids import run_id, stored_statuses
from toolkit.recipes.step_estimates import ModelSize, profile_estimate
from toolkit.recipes.step_kinds import StepKind
from toolkit.recipes.steps import Beginning, ModuleWork, Resources, Stage, Step
from toolkit.recipes.targets import is_on_host, placed
from toolkit.runtime.toolchain import find_toolchain
from toolkit.settings import Settings


class ProfileWork(ModuleWork):
    """Run one artifact on one device.

    Attributes:
        artifact: the key of the conversion.
        device: local, virtual-N or a serial.
        run_ids: of this attempt, last, and of those before it since the step was last done.
        origin: the recipe and its batch.
    """

    kind: ClassVar = "profile"
    stage: ClassVar = "results"
    writes_store: ClassVar = True
    measures: ClassVar = True
    module: ClassVar = "toolkit.recipes.work.profile"

    artifact: str
    device: str
    request: SerializeAsAny[ProfileRequest]
    run_ids: tuple[str, ...] = Field(())
    origin: Origin | None = None
    timeout_s: float | None
    alike: tuple[str, ...]

    def begun(self, beginning: Beginning) -> Self:
        """With the ids of its runs, which follow from workspace, key and attempt, and with their origin."""
        numbers = range(beginning.first, beginning.number + 1)
        identity = beginning.workspace.identity()
        origin = Origin(recipe=beginning.recipe, batch=beginning.batch, tags=beginning.tags)
        return self.model_copy(
            update={
                "run_ids": tuple(run_id(beginning.key, number, identity) for number in numbers),
                "origin": origin,
            }
        )

    @property
    def run_id(self) -> str | None:
        """Of this attempt."""
        return self.run_ids[-1] if self.run_ids else None


class ProfileKind(StepKind):
    """One step for each combination, device and round."""

    stage: ClassVar[Stage] = "results"
    measures: ClassVar[bool] = True

    def plan(self, planning: Planning) -> Sequence[Step]:
        """See :class:`StepKind`."""
        profile = planning.loaded.recipe.profile
        if profile is None:
            return []
        conversions = converted(planning)
        steps = []
        for run in matrix.profile_runs(profile, list(conversions)):
            for device in planning.devices(run.device):
                placed = replace(run, device=device)
                steps.append(_step(placed, conversions[run.conversion], planning, overlap=profile.overlap))
        unique = list({(step.key, step.title): step for step in steps}.values())
        return _with_states(unique, planning)

    def lacks(self, works: Sequence[ProfileWork], settings: Settings) -> Sequence[ToolkitError]:
        """The compiler of the runner for this machine; what a phone needs shows when it is asked."""
        if not any(is_on_host(work.device) for work in works):
            return ()
        try:
            find_toolchain()
        except RuntimeBundleError as error:
            return [error]
        return ()


KIND = ProfileKind()


def _step(run: matrix.ProfileRun, conversion: Step, planning: Planning, *, overlap: bool) -> Step:
    engine = run.conversion.request.backend
    identity = [
        "profile",
        conversion.key,
        placed(run.device),
        run.request.identity(),
        {
            "protocol": PROTOCOL,
            "runner": fingerprints.runner_code(),
            engine: fingerprints.installed(engine),
        },
        run.round,
    ]
    title, needs = f"profile {run.conversion.label}, {run.label}", (conversion.key,)
    known = is_known(conversion.key)
    key = fingerprints.digest(identity) if known else unknown_key(title, needs)
    alike = ("profile", conversion.title, run.label)
    size = ModelSize.of(
        fingerprints.config_fields(
            run.conversion.model, planning.loaded.folder, planning.workspace, planning.settings
        ),
        run.conversion.model.id,
    )
    guess = profile_estimate(size, run.conversion.request, run.request)
    return Step(
        key,
        title,
        ProfileWork(
            artifact=conversion.key,
            device=run.device,
            request=run.request,
            timeout_s=planning.timeout_s,
            alike=alike,
        ),
        "to do" if known else "unknown",
        needs=needs,
        resources=Resources(
            cpus=0,
            # A conversion beside it would be measured along.
            whole_host=is_on_host(run.device) and not overlap,
            device=run.device,
            timeout_s=planning.timeout_s,
        ),
        estimate=planning.history.corrected(guess, alike),
    )


def _with_states(steps: Sequence[Step], planning: Planning) -> list[Step]:
    """A profile step is done when the store has its run: the record alone proves nothing."""
    ids = {step.key: done for step in steps if (done := _done_run_id(step, planning))}
    statuses = stored_statuses(ids.values(), planning.settings)
    return [
        replace(step, state="done") if statuses.get(ids.get(step.key, "")) == "ok" else step for step in steps
    ]


def _done_run_id(step: Step, planning: Planning) -> str | None:
    record = planning.workspace.record(step.key)
    if record is None or record.result is None or not planning.still_counts(record, step.work):
        return None
    return str(record.result.get("run_id"))
