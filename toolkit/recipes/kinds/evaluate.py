"""Evaluations of everything that was converted: over a text, on tasks, with needles in long texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, SerializeAsAny, create_model

from toolkit.errors import ToolkitError, UsageError
from toolkit.evaluate.needle.grid import given_depths, given_lengths
from toolkit.evaluate.request import EvaluateRequest, NeedleRequest, PlacedRequest, TaskRequest, TextRequest
from toolkit.evaluate.tasks.task_files import made_of, named, yaml_files
from toolkit.evaluate.tasks.task_files import placed as placed_tasks
from toolkit.extras import missing_extras
from toolkit.files import expanded, sha256_of
from toolkit.recipes import fingerprints
from toolkit.recipes.axes import Section, all_fields
from toolkit.recipes.choices import is_file, is_folder
from toolkit.recipes.kinds.convert import converted
from toolkit.recipes.planning import Planning, is_known, unknown_key
from toolkit.recipes.run_ids import run_id
from toolkit.recipes.schema import Recipe
from toolkit.recipes.step_estimates import StepEstimate
from toolkit.recipes.step_kinds import StepKind
from toolkit.recipes.steps import Beginning, ModuleWork, Resources, Stage, Step
from toolkit.recipes.targets import LOCAL, placed
from toolkit.request import Flag, Request
from toolkit.settings import Settings

What = Literal["text", "tasks", "needle"]
_REQUESTS: dict[What, type[Request]] = {"text": TextRequest, "tasks": TaskRequest, "needle": NeedleRequest}
_PACKAGES = ("lm-eval", "datasets", "transformers", "torch")
# A first guess only; the first real step replaces it.
_GUESS = StepEstimate(seconds=60.0)


class EvaluateSection(Section):
    """Evaluate everything that was converted."""

    needle: Flag = Field(False, description="Facts hidden in long texts, over length and depth.")


# The fields of `slm evaluate`, written once.
_made: Any = create_model(
    "Evaluate",
    __base__=EvaluateSection,
    __doc__=EvaluateSection.__doc__,
    **all_fields(EvaluateRequest),
)
Evaluate: type[EvaluateSection] = _made


class EvaluateWork(ModuleWork):
    """Evaluate one artifact.

    Attributes:
        artifact: the key of the conversion.
        what: over a text, on tasks or with needles.
        request: the fields of it that concern that.
        evaluation_ids: of this attempt, last, and of those before it since the step was last done.
        threads: of torch.
    """

    kind: ClassVar = "evaluate"
    stage: ClassVar = "results"
    writes_store: ClassVar = True
    measures: ClassVar = True
    module: ClassVar = "toolkit.recipes.work.evaluate"

    artifact: str
    what: What
    request: SerializeAsAny[TextRequest | TaskRequest | NeedleRequest]
    evaluation_ids: tuple[str, ...] = ()
    threads: int = 1
    alike: tuple[str, ...] = ()

    def begun(self, beginning: Beginning) -> Self:
        """With the ids of its evaluations, which follow from workspace, key and attempt."""
        identity = beginning.workspace.identity()
        numbers = range(beginning.first, beginning.number + 1)
        ids = tuple(run_id(beginning.key, number, identity) for number in numbers)
        return self.model_copy(update={"evaluation_ids": ids})


class EvaluateKind(StepKind):
    """One step for each conversion, each thing that is asked, and each device that answers."""

    stage: ClassVar[Stage] = "results"
    measures: ClassVar[bool] = True
    section: ClassVar[type[Section] | None] = Evaluate

    def plan(self, planning: Planning) -> Sequence[Step]:
        """See :class:`StepKind`."""
        section = getattr(planning.loaded.recipe, "evaluate", None)
        if section is None:
            return []
        asked = list(_asked(section, planning))
        steps = [
            _step(conversion, what, request, planning)
            for conversion in converted(planning).values()
            for what, request in asked
        ]
        return _with_states(list({(step.key, step.title): step for step in steps}.values()), planning)

    def problems(self, recipe: Recipe, folder: Path) -> Iterator[tuple[str, UsageError]]:
        """A section that asks for nothing, files that are not there, lengths and depths that are none."""
        section = getattr(recipe, "evaluate", None)
        if section is not None:
            yield from _problems(section, folder)

    def lacks(self, works: Sequence[EvaluateWork], settings: Settings) -> Sequence[ToolkitError]:
        """Packages, and of tasks that there are such, with functions and data."""
        if missing := missing_extras("convert"):
            return [missing]
        asked = [work.request for work in works if isinstance(work.request, TaskRequest)]
        found: list[ToolkitError] = []
        read: dict[Any, Any] = {}
        for request in {(one.tasks, one.shots, one.include_path): one for one in asked}.values():
            # The harness and its libraries, for those alone who have tasks.
            from toolkit.evaluate.tasks.rounds import lacks_of

            found += lacks_of(request, read)
        return found


KIND = EvaluateKind()


def _asked(section: EvaluateSection, planning: Planning) -> Iterator[tuple[What, Any]]:
    """What a section asks for, with files where the recipe's folder has them, on each of its devices.

    Raises:
        UsageError: nothing, a text, task or folder that is not there, or lengths or depths that are none.
    """
    values: dict[str, Any] = {name: getattr(section, name) for name in EvaluateRequest.model_fields}
    folder = planning.loaded.folder
    values = {name: folder / expanded(one) if isinstance(one, Path) else one for name, one in values.items()}
    chosen: dict[What, Any] = {
        "text": values["text"],
        "tasks": values["tasks"],
        "needle": section.needle,
    }
    for _, problem in _problems(section, folder):
        raise problem
    if values["tasks"] is not None:
        values["tasks"] = placed_tasks(values["tasks"], folder)
    shots = values["shots"]
    named = (one for word in values["device"] for one in planning.devices(word or LOCAL))
    devices = list(dict.fromkeys(named))
    for what, kind in _REQUESTS.items():
        if chosen[what]:
            # A text is read by the engine on this machine.
            places = devices if issubclass(kind, PlacedRequest) else [None]
            for device, count in product(places, shots if what == "tasks" else [None]):
                known = values | {"device": device, "shots": count}
                yield what, kind.of(**{name: known[name] for name in kind.model_fields})


def _problems(section: EvaluateSection, folder: Path) -> Iterator[tuple[str, UsageError]]:
    """What is wrong with a section, with the field that it is about; the section itself has none."""
    values: dict[str, Any] = {name: getattr(section, name) for name in EvaluateRequest.model_fields}
    text, tasks, include_path = values["text"], values["tasks"], values["include_path"]
    if text is None and not tasks and not section.needle:
        yield (
            "",
            UsageError(
                "the section evaluate asks for nothing", next_step="Give it text, tasks, or needle: true."
            ),
        )
    start = f"Paths start from {folder.absolute()}."
    if text is not None and not is_file(folder / expanded(text)):
        yield "text", UsageError("no such file", subject=f"evaluate.text {text}", next_step=start)
    if include_path is not None and not is_folder(folder / expanded(include_path)):
        place = f"evaluate.include_path {include_path}"
        yield "include_path", UsageError("no such folder", subject=place, next_step=start)
    checks: list[tuple[str, Callable[[], object]]] = []
    if tasks is not None:
        checks.append(("tasks", lambda: placed_tasks(tasks, folder)))
    if section.needle:
        checks.append(("lengths", lambda: given_lengths(values["lengths"])))
        checks.append(("depths", lambda: given_depths(values["depths"])))
    for name, check in checks:
        try:
            check()
        except UsageError as error:
            yield name, error


def _step(conversion: Step, what: What, request: Any, planning: Planning) -> Step:
    device = request.device if isinstance(request, PlacedRequest) else None
    identity = [
        *("evaluate", conversion.key, what, request.identity()),
        _own_tasks(request) if isinstance(request, TaskRequest) else [],
        {package: fingerprints.installed(package) for package in _PACKAGES},
        None if device is None else [fingerprints.runner_code(), placed(device)],
    ]
    known, needs = is_known(conversion.key), (conversion.key,)
    converted_title = conversion.title.removeprefix("convert ")
    title = f"evaluate {converted_title}: {_named(what, request)}{f' on {device}' if device else ''}"
    alike = ("evaluate", converted_title, what, *([device] if device else []))
    cpus = planning.loaded.recipe.limits.cpus
    work = EvaluateWork(artifact=conversion.key, what=what, request=request, threads=cpus, alike=alike)
    return Step(
        fingerprints.digest(identity) if known else unknown_key(title, needs),
        title,
        work,
        "to do" if known else "unknown",
        needs=needs,
        resources=Resources(
            cpus=cpus,
            # The source is loaded as the conversion's judge is, and stays while the text is read.
            memory_bytes=conversion.resources.memory_bytes,
            device=device,
            timeout_s=planning.timeout_s,
        ),
        estimate=planning.history.corrected(_GUESS, alike),
    )


def _named(what: What, request: Any) -> str:
    if isinstance(request, TextRequest):
        return f"text {request.text.name if request.text else ''}"
    if isinstance(request, TaskRequest):
        shots = f", {request.shots} shots" if request.shots is not None else ""
        return f"{named(request.tasks or '')}{shots}"
    return what


def _own_tasks(request: TaskRequest) -> list[list[str]]:
    """What tasks of the user's own are made of."""
    folder = request.include_path
    inside = [file for file in folder.rglob("*") if file.is_file()] if folder is not None else []
    files = made_of([*inside, *yaml_files(request.tasks or "")])
    return [[str(file), sha256_of(file)] for file in files]


def _with_states(steps: Sequence[Step], planning: Planning) -> list[Step]:
    """A step is done when the store has its evaluation: the record alone proves nothing."""
    recorded = {step.key: _recorded(step, planning) for step in steps if is_known(step.key)}
    wanted = {one for one in recorded.values() if one is not None}
    if not wanted:
        return list(steps)
    from toolkit.store import open_store
    from toolkit.store.evaluations import known_evaluations

    with open_store(planning.settings.store_url) as store:
        known = known_evaluations(store, wanted)
    return [replace(step, state="done") if recorded.get(step.key) in known else step for step in steps]


def _recorded(step: Step, planning: Planning) -> str | None:
    record = planning.workspace.record(step.key)
    if record is None or record.result is None or not planning.still_counts(record, step.work):
        return None
    return str(record.result.get("evaluation"))
