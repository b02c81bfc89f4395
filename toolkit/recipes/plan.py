"""The plan: every step of a recipe with its key, what it needs, what it will take, and whether it is done."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from toolkit.artifact import Artifact
from toolkit.devices.discovery import list_devices
from toolkit.errors import ArtifactError
from toolkit.export.request import ConvertRequest
from toolkit.profiling.description import PROTOCOL
from toolkit.recipes import fingerprints, matrix
from toolkit.recipes.estimate import Estimate, History, ModelSize, conversion_estimate, profile_estimate
from toolkit.recipes.run_ids import run_id, stored_statuses
from toolkit.recipes.schema import Profile, Recipe
from toolkit.recipes.share import Share
from toolkit.recipes.steps import ConvertWork, FetchWork, ProfileWork, ReportWork, Resources, State, Step
from toolkit.recipes.targets import LOCAL, PHONES, virtual_count, virtual_name, virtual_number
from toolkit.recipes.validation import LoadedRecipe
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings

UNKNOWN = "?"


@dataclass(frozen=True)
class Plan:
    """All steps of a recipe, in an order in which they can be done."""

    recipe: LoadedRecipe
    steps: tuple[Step, ...]

    @property
    def complete(self) -> bool:
        """Whether every step's key is known."""
        return all(step.key != UNKNOWN for step in self.steps)

    @property
    def to_do(self) -> tuple[Step, ...]:
        """Steps that are not done."""
        return tuple(step for step in self.steps if step.state != "done")


def make_plan(
    loaded: LoadedRecipe, workspace: Workspace, settings: Settings, *, phones: Sequence[str] | None = None
) -> Plan:
    """Plan a recipe against what the workspace and the store have already.

    Args:
        loaded: the recipe.
        workspace: where artifacts and records are.
        settings: says which store and caches.
        phones: what the word "phones" stands for; those that adb sees here by default.

    Raises:
        ToolkitError: the store cannot be opened, or a model's files cannot be read.
    """
    return _Planner(loaded, workspace, settings, phones).plan()


class _Planner:
    def __init__(
        self, loaded: LoadedRecipe, workspace: Workspace, settings: Settings, phones: Sequence[str] | None
    ) -> None:
        self._loaded = loaded
        self._recipe: Recipe = loaded.recipe
        self._workspace = workspace
        self._settings = settings
        self._phones = phones
        self._history = History.of(workspace.records())
        # With a share, done is what other hosts can get.
        self._shared = None if workspace.share is None else Share(workspace.share).keys()

    def plan(self) -> Plan:
        converted = matrix.conversions(self._recipe.convert)
        fetches = self._fetches(converted)
        conversions = {one: self._conversion(one) for one in converted}
        profiles = self._profiles(conversions)
        reports = self._reports(profiles)
        return Plan(self._loaded, (*fetches, *conversions.values(), *profiles, *reports))

    def _fetches(self, conversions: Sequence[matrix.Conversion]) -> list[Step]:
        steps = []
        for model, request in {one.model: one.request for one in conversions}.items():
            if not fingerprints.is_fetched(model, self._loaded.folder):
                continue
            lock = fingerprints.lock_name(model)
            work = FetchWork(
                model=model.id,
                revision=model.revision,
                offline=request.offline,
                trust_remote_code=request.trust_remote_code,
                lock=lock,
            )
            state: State = "done" if self._workspace.source(lock) else "to do"
            steps.append(Step(lock, f"fetch {model.id}", work, state, estimate=Estimate(seconds=10.0)))
        return steps

    def _conversion(self, one: matrix.Conversion) -> Step:
        limits, folder = self._recipe.limits, self._loaded.folder
        lock = self._workspace.source(fingerprints.lock_name(one.model))
        source = fingerprints.source_identity(one.model, folder, self._settings, self._workspace)
        pinned = lock.info if lock and fingerprints.is_fetched(one.model, folder) else None
        request = self._placed(one.request).model_copy(
            update={
                "model": fingerprints.reference(one.model, folder),
                "revision": pinned.revision if pinned and pinned.kind == "hub" else one.model.revision,
            }
        )
        tools = fingerprints.convert_tools(request.backend)
        # Sums come out differently with another number of threads.
        identity = ["convert", source, request.identity(), tools, limits.cpus]
        key = UNKNOWN if source is None else fingerprints.digest(identity)
        alike = ("convert", one.model.id, request.backend, request.quant)
        work = ConvertWork(
            key=key,
            request=request,
            source=pinned,
            threads=limits.cpus,
            recipe_sha256=self._loaded.sha256,
            code=tools["code"],
            alike=alike,
        )
        size = ModelSize.of(fingerprints.config_fields(one.model, folder, self._workspace))
        estimate = self._history.corrected(conversion_estimate(size, request.quant, request.backend), alike)
        limit = None if limits.memory_gb is None else int(limits.memory_gb * 1e9)
        resources = Resources(
            cpus=limits.cpus,
            memory_bytes=estimate.ram_bytes if limit is None else limit,
            memory_limit_bytes=limit,
            timeout_s=_timeout_s(self._recipe),
        )
        fetched = fingerprints.is_fetched(one.model, folder)
        return Step(
            key,
            f"convert {one.label}",
            work,
            self._conversion_state(key),
            needs=(fingerprints.lock_name(one.model),) if fetched else (),
            resources=resources,
            estimate=estimate,
            output=None if key == UNKNOWN else self._workspace.artifact(key),
        )

    def _placed(self, request: ConvertRequest) -> ConvertRequest:
        """A request whose files are where the recipe's folder has them."""
        files = {name: self._loaded.folder / value for name, value in request if isinstance(value, Path)}
        return request.model_copy(update=files)

    def _conversion_state(self, key: str) -> State:
        if key == UNKNOWN:
            return "unknown"
        if self._shared is not None:
            return "done" if key in self._shared else "to do"
        try:
            Artifact.load(self._workspace.artifact(key))
        except ArtifactError:
            return "to do"
        return "done"

    def _profiles(self, conversions: Mapping[matrix.Conversion, Step]) -> list[Step]:
        profile = self._recipe.profile
        if profile is None:
            return []
        steps = []
        for run in matrix.profile_runs(profile, list(conversions)):
            for target in self._targets(run.device):
                steps.append(self._profile(replace(run, device=target), profile, conversions[run.conversion]))
        unique = list({(step.key, step.title): step for step in steps}.values())
        return self._with_states(unique)

    def _profile(self, run: matrix.ProfileRun, profile: Profile, conversion: Step) -> Step:
        on_host = run.device == LOCAL or virtual_number(run.device) is not None
        engine = run.conversion.request.backend
        identity = [
            "profile",
            conversion.key,
            # "local" is another device on every machine; a serial is the same everywhere.
            [run.device, platform.node() if on_host else ""],
            run.request.identity(),
            {
                "protocol": PROTOCOL,
                "runner": fingerprints.runner_code(),
                engine: fingerprints.installed(engine),
            },
            run.round,
        ]
        key = UNKNOWN if conversion.key == UNKNOWN else fingerprints.digest(identity)
        alike = ("profile", conversion.title, run.label)
        timeout_s = _timeout_s(self._recipe)
        size = ModelSize.of(
            fingerprints.config_fields(run.conversion.model, self._loaded.folder, self._workspace)
        )
        guess = profile_estimate(
            size,
            run.conversion.request.quant,
            prompt_tokens=run.request.prompt_tokens,
            generate_tokens=run.request.generate_tokens,
            depth=run.request.depth,
            repetitions=run.request.repetitions + run.request.warmup,
        )
        return Step(
            key,
            f"profile {run.conversion.label}, {run.label}",
            ProfileWork(
                artifact=conversion.key,
                device=run.device,
                request=run.request,
                timeout_s=timeout_s,
                alike=alike,
            ),
            "unknown" if key == UNKNOWN else "to do",
            needs=(conversion.key,),
            resources=Resources(
                cpus=0,
                # A conversion beside it would be measured along.
                whole_host=on_host and not profile.overlap,
                device=run.device,
                timeout_s=timeout_s,
            ),
            estimate=self._history.corrected(guess, alike),
        )

    def _with_states(self, steps: Sequence[Step]) -> list[Step]:
        """A profile step is done when the store has its run: the record alone proves nothing."""
        ids = {step.key: done for step in steps if (done := self._done_run_id(step.key))}
        statuses = stored_statuses(ids.values(), self._settings)
        return [
            replace(step, state="done") if statuses.get(ids.get(step.key, "")) == "ok" else step
            for step in steps
        ]

    def _done_run_id(self, key: str) -> str | None:
        record = self._workspace.record(key)
        if record is None or record.last.outcome != "done" or record.result is None:
            return None
        return str(record.result.get("run_id"))

    def _targets(self, word: str) -> list[str]:
        if count := virtual_count(word):
            return [virtual_name(number) for number in range(1, count + 1)]
        if word != PHONES:
            return [word]
        if self._phones is None:
            found = list_devices(self._settings)
            self._phones = [one.serial for one in found if one.kind != LOCAL and not one.emulated]
        # With none attached the word stays, so that the plan shows what cannot be run now.
        return list(self._phones) or [PHONES]

    def _reports(self, profiles: Sequence[Step]) -> list[Step]:
        steps: list[Step] = []
        # One after the other: each of them tags the runs anew.
        keys = tuple(step.key for step in profiles)
        for name in self._recipe.report:
            file = self._workspace.batch(self._recipe.name) / name
            known = UNKNOWN not in keys
            key = (
                fingerprints.digest(["report", str(file), keys, fingerprints.report_code()])
                if known
                else UNKNOWN
            )
            record = self._workspace.record(key)
            done = known and file.is_file() and record is not None and record.last.outcome == "done"
            state: State = "done" if done else "to do" if known else "unknown"
            steps.append(
                Step(
                    key,
                    f"report {name}",
                    ReportWork(file=str(file), title=self._recipe.name),
                    state,
                    needs=(*keys, *(step.key for step in steps[-1:])),
                    estimate=Estimate(seconds=3.0, disk_bytes=2_000_000),
                    output=file,
                )
            )
        return steps


def attempt_run_ids(key: str, attempt: int) -> tuple[str, ...]:
    """Run ids of this attempt, last, and of those before it."""
    return tuple(run_id(key, number) for number in range(1, attempt + 1))


def _timeout_s(recipe: Recipe) -> float | None:
    minutes = recipe.limits.timeout_minutes
    return None if minutes is None else minutes * 60
