"""A study from its request to its report: a recipe in the workspace, and what its steps have measured."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import toolkit
from toolkit.errors import BatchBusy, StudyError, UsageError
from toolkit.files import write_whole
from toolkit.models.catalogue.catalogue import catalogue
from toolkit.recipes.planning import Phones, phones_here
from toolkit.recipes.schema import LoadedRecipe
from toolkit.recipes.status import batch_status
from toolkit.recipes.step_kinds import measuring_kinds
from toolkit.recipes.validation import load_recipe, recipe_from_text
from toolkit.recipes.workspace import StepRecord, Workspace
from toolkit.registry import unknown_name
from toolkit.report.study_content import StudyContent
from toolkit.settings import Settings
from toolkit.store.store import Store
from toolkit.studies.data import StudyData, read_data
from toolkit.studies.protocols import PROTOCOLS
from toolkit.studies.request import StudyRequest
from toolkit.studies.study import STUDIES, LeftOut, Study, Subject
from toolkit.studies.study_devices import meant_devices, refuse_too_few, refuse_without_battery, smallest_ram
from toolkit.studies.subjects import chosen_subjects

_SHARE_OF_RAM = 0.75
RECIPE = "recipe.yaml"
STUDY = "study.json"


class StudyFile(BaseModel):
    """``batches/<name>/study.json``: what the recipe beside it is a study of."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_: str = Field("slm-study/1", alias="schema")
    study: str
    request: StudyRequest
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A study that can be run.

    Attributes:
        study: which.
        name: of its recipe.
        request: with the study's defaults.
        subjects: models that are measured.
        left_out: models that are not, and what is left out of those that are.
        text: the recipe.
    """

    study: Study
    name: str
    request: StudyRequest
    subjects: Sequence[Subject]
    left_out: Sequence[LeftOut]
    text: str


def prepare(
    study: Study, request: StudyRequest, settings: Settings, *, phones: Phones = phones_here
) -> Prepared:
    """Choose models, ask devices for their memory, and write down the recipe; nothing is stored yet.

    Args:
        study: which.
        request: what the study's defaults do not say.
        settings: say where devices and catalogue are.
        phones: asked what the word "phones" stands for.

    Raises:
        StudyError: fewer devices than the study needs.
        EnergyRefused: joules are wanted of a device whose battery cannot be read.
        UnknownModel, CatalogueInvalid, UsageError, DeviceError: see the parts.
    """
    filled = study.filled(request)
    devices = meant_devices(filled.device, settings, phones)
    refuse_too_few(study, devices)
    ram = smallest_ram(devices)
    if filled.memory_gb is None and ram is not None:
        # A device that is filled to the last byte swaps, or kills.
        filled = filled.model_copy(update={"memory_gb": round(ram * _SHARE_OF_RAM / 1e9, 1)})
    known = catalogue(settings.models_dir)
    subjects, left = chosen_subjects(study, filled, known)
    left = [*left, *study.leaves_out(filled, subjects)]
    name = filled.name or f"study-{study.name}"
    template = study.template(filled, subjects)
    if (template.get("profile") or {}).get("energy"):
        refuse_without_battery(devices, settings)
    sections = {
        "schema": "slm-recipe/1",
        "name": name,
        "description": f"{study.title}: {study.question}",
        **template,
        "tag": [f"study:{study.name}"],
    }
    header = f"# Written by slm study run {study.name}; it is written anew each time.\n"
    text = header + yaml.safe_dump(sections, sort_keys=False, allow_unicode=True, width=110)
    return Prepared(study, name, filled, subjects, left, text)


def loaded_anywhere(prepared: Prepared, settings: Settings) -> LoadedRecipe:
    """A study's recipe as it would be loaded, without a file: for a plan.

    Raises:
        RecipeInvalid: something that only the recipe's own check finds.
    """
    here = Path.cwd()
    recipe = recipe_from_text(prepared.text, here, RECIPE, settings.models_dir)
    return LoadedRecipe(recipe, here / RECIPE, hashlib.sha256(prepared.text.encode()).hexdigest())


def written(prepared: Prepared, workspace: Workspace, settings: Settings) -> LoadedRecipe:
    """Put a study's recipe into the workspace, and load it as any other.

    Raises:
        BatchBusy: it is being run.
        RecipeInvalid: something that only the recipe's own check finds.
    """
    folder = workspace.batch(prepared.name)
    if workspace.is_running(prepared.name):
        raise BatchBusy(
            "is being run by another process",
            subject=f"study {prepared.name}",
            next_step=f"Watch it: slm recipe status {prepared.name}",
        )
    folder.mkdir(parents=True, exist_ok=True)
    file = StudyFile(
        study=prepared.study.name,
        request=prepared.request,
        left_out=tuple((one.model, one.why) for one in prepared.left_out),
    )
    write_whole(folder / STUDY, file.model_dump_json(by_alias=True, indent=2) + "\n")
    write_whole(folder / RECIPE, prepared.text)
    return load_recipe(folder / RECIPE, settings.models_dir)


def stored_study(name: str, workspace: Workspace) -> tuple[str, StudyFile]:
    """What was run under a name: that of a study, or the one given with --name.

    Raises:
        StudyError: nothing was, or its file cannot be read.
    """
    for folder in (f"study-{name}", name):
        path = workspace.batch(folder) / STUDY
        if not path.is_file():
            continue
        try:
            return folder, StudyFile.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError, ValueError) as error:
            raise StudyError(
                f"cannot be read: {error}", subject=str(path), next_step=f"Run it again: slm study run {name}"
            ) from None
    if name in STUDIES:
        raise StudyError(
            "was not run in this workspace",
            subject=f"study {name}",
            next_step=f"Run it: slm study run {name}",
        )
    ran = (path.parent.name for path in (workspace.root / "batches").glob(f"*/{STUDY}"))
    raise unknown_name("study", name, [*STUDIES, *ran], UsageError)


def study_content(name: str, workspace: Workspace, store: Store, settings: Settings) -> StudyContent:
    """The report of what was measured so far.

    Raises:
        StudyError: it was never run here, or nothing of it ended well.
    """
    folder, file = stored_study(name, workspace)
    study = STUDIES.get(file.study)
    records = _records(folder, workspace)
    ids = [str(one.result["run_id"]) for one in records if one.result and "run_id" in one.result]
    data = read_data(store, ids, records, catalogue(settings.models_dir))
    batch = batch_status(folder, workspace)
    measured = [one for one in records if one.result and one.kind in measuring_kinds()]
    if not data.points and not data.evaluations and not measured:
        failed = next((step for step in batch.steps if step.state == "failed"), None)
        why = f"; {failed.name}: {failed.detail}" if failed else ""
        raise StudyError(
            f"nothing of it ended well yet{why}",
            subject=f"study {name.removeprefix('study-')}",
            next_step=f"See slm recipe status {folder}.",
        )
    return StudyContent(
        title=study.title,
        question=study.question,
        created=datetime.now(UTC),
        toolkit_version=toolkit.__version__,
        facts=_facts(data, file),
        conditions=_conditions(study, file, data),
        table=study.table(data),
        figures=study.figures(data),
        findings=study.findings(data),
        left_out=file.left_out,
        batch=batch,
    )


def _records(folder: str, workspace: Workspace) -> list[StepRecord]:
    batch = workspace.batch_file(folder)
    steps = batch.steps if batch else []
    found = (workspace.record(step["key"]) for step in steps)
    return [record for record in found if record is not None and record.last.outcome == "done"]


def _facts(data: StudyData, file: StudyFile) -> list[tuple[str, str]]:
    runs = {run for point in data.points for run in point.run_ids}
    devices = {point.device.key for point in data.points}
    random = sum(point.random_weights for point in data.points)
    models = {point.artifact.model for point in data.points}
    models |= {one.evaluation.model for one in data.evaluations}
    return [
        ("Models", str(len(models))),
        ("Devices", str(len(devices))),
        ("Runs", str(len(runs))),
        ("With random weights", f"{random} of {len(data.points)} points"),
        ("Left out", str(len(file.left_out))),
    ]


def _conditions(study: Study, file: StudyFile, data: StudyData) -> list[str]:
    request = file.request
    protocol = PROTOCOLS[request.protocol or study.protocol]
    said = [f"Protocol: {protocol.about}. What really ran is in the sets of conditions."]
    if study.survey:
        said.append(f"Redoes {study.survey} of the survey (Lu et al., arXiv 2409.15790).")
    if any(point.random_weights for point in data.points):
        said.append(
            "Models from the catalogue have random weights: speed and memory depend on shapes. Nothing here "
            "says anything about what they can do."
        )
    said += [f"Set of conditions: {workload}." for workload in dict.fromkeys(p.workload for p in data.points)]
    return said


def write_report(
    name: str, output: Path | None, format_name: str, workspace: Workspace, store: Store, settings: Settings
) -> Path:
    """Write a study's report; by default beside its recipe.

    Raises:
        StudyError: see :func:`study_content`.
        UsageError: no such format, an extra is not installed, or the file cannot be written.
    """
    from toolkit.report.study_formats import FORMATS

    writer = FORMATS.get(format_name)
    content = study_content(name, workspace, store, settings)
    folder, _ = stored_study(name, workspace)
    own = "figures" if format_name in ("svg", "png") else f"report.{format_name}"
    target = output or workspace.batch(folder) / own
    try:
        writer(content, target, settings)
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", subject=str(target), next_step="Choose another -o."
        ) from None
    return target
