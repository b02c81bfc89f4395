"""Conversions: one artifact for each combination of the section `convert`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import SerializeAsAny

from toolkit.artifact import Artifact, SourceInfo
from toolkit.engines import ENGINES
from toolkit.errors import ArtifactError, ToolkitError, UsageError
from toolkit.export.request import ConvertRequest
from toolkit.extras import missing_extras
from toolkit.files import expanded
from toolkit.recipes import fingerprints, matrix
from toolkit.recipes.planning import Planning, is_known, unknown_key
from toolkit.recipes.step_estimates import ModelSize, conversion_estimate
from toolkit.recipes.step_kinds import StepKind
from toolkit.recipes.steps import ModuleWork, Resources, Stage, State, Step
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings


class ConvertWork(ModuleWork):
    """Make one artifact.

    ``source`` is what the model was when it was fetched: anything else is refused, because the step's key
    stands for that source; so does ``config_sha256`` of a model with random weights. ``code`` is the
    fingerprint of the toolkit that planned the step.
    """

    kind: ClassVar = "convert"
    stage: ClassVar = "artifacts"
    module: ClassVar = "toolkit.recipes.work.convert"

    key: str
    request: SerializeAsAny[ConvertRequest]
    source: SourceInfo | None
    config_sha256: str | None = None
    threads: int
    recipe_sha256: str
    code: str
    alike: tuple[str, ...]

    def prepare(self) -> None:
        """Import the module, and what the backend needs."""
        importlib.import_module(self.module).load_backend(self.request.backend)

    def remove_leftovers(self, key: str, workspace: Workspace) -> None:
        """Delete staged folders, and a folder without a manifest."""
        workspace.remove_leftovers(key)


class ConvertKind(StepKind):
    """One step for each combination."""

    stage: ClassVar[Stage] = "artifacts"

    def plan(self, planning: Planning) -> Sequence[Step]:
        """See :class:`StepKind`."""
        return [_step(one, planning) for one in matrix.conversions(planning.loaded.recipe.convert)]

    def lacks(self, works: Sequence[ConvertWork], settings: Settings) -> Sequence[ToolkitError]:
        """Packages of converting, and those of engines."""
        found: list[ToolkitError] = []
        if missing := missing_extras("convert"):
            found.append(missing)
        for backend in dict.fromkeys(work.request.backend for work in works):
            try:
                ENGINES.get(backend).check_installed()
            except UsageError as error:
                found.append(error)
        return found


KIND = ConvertKind()


def converted(planning: Planning) -> Mapping[matrix.Conversion, Step]:
    """The conversions of a recipe with their steps, for kinds that use what they make."""
    wanted = matrix.conversions(planning.loaded.recipe.convert)
    return dict(zip(wanted, planning.of_kind("convert"), strict=True))


def _step(one: matrix.Conversion, planning: Planning) -> Step:
    loaded, workspace = planning.loaded, planning.workspace
    limits, folder = loaded.recipe.limits, loaded.folder
    fetched = fingerprints.is_fetched(one.model, folder)
    lock = workspace.source(fingerprints.lock_name(one.model)) if fetched else None
    source = fingerprints.source_identity(one.model, folder, planning.settings, workspace)
    pinned = lock.info if lock else None
    request = _placed(one.request, folder).model_copy(
        update={
            "model": fingerprints.reference(one.model, folder),
            "revision": pinned.revision if pinned and pinned.kind == "hub" else one.model.revision,
        }
    )
    tools = fingerprints.convert_tools(request.backend)
    # Sums come out differently with another number of threads.
    identity = ["convert", source, request.identity(), tools, limits.cpus]
    title = f"convert {one.label}"
    needs = (fingerprints.lock_name(one.model),) if fetched else ()
    key = unknown_key(title, needs) if source is None else fingerprints.digest(identity)
    alike = ("convert", one.model.id, request.backend, request.quant)
    work = ConvertWork(
        key=key,
        request=request,
        source=pinned,
        config_sha256=source.get("config") if source else None,
        threads=limits.cpus,
        recipe_sha256=loaded.sha256,
        code=tools["code"],
        alike=alike,
    )
    fields = fingerprints.config_fields(one.model, folder, workspace, planning.settings)
    size = ModelSize.of(fields, one.model.id)
    estimate = planning.history.corrected(conversion_estimate(size, request), alike)
    limit = None if limits.memory_gb is None else int(limits.memory_gb * 1e9)
    resources = Resources(
        cpus=limits.cpus,
        memory_bytes=estimate.ram_bytes if limit is None else limit,
        memory_limit_bytes=limit,
        timeout_s=planning.timeout_s,
    )
    return Step(
        key,
        title,
        work,
        _state(key, planning),
        needs=needs,
        resources=resources,
        estimate=estimate,
        output=workspace.artifact(key) if is_known(key) else None,
    )


def _placed(request: ConvertRequest, folder: Path) -> ConvertRequest:
    """A request whose files are where the recipe's folder has them."""
    files = {name: folder / expanded(value) for name, value in request if isinstance(value, Path)}
    return request.model_copy(update=files)


def _state(key: str, planning: Planning) -> State:
    if not is_known(key):
        return "unknown"
    if planning.shared is not None:
        # With a share, done is what other hosts can get.
        return "done" if key in planning.shared else "to do"
    try:
        Artifact.load(planning.workspace.artifact(key))
    except ArtifactError:
        return "to do"
    return "done"
