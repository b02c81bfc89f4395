"""Converting: one artifact, at the place that its key gives it."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from toolkit.export.quiet import hush_libraries

hush_libraries()

import torch  # noqa: E402

from toolkit.artifact import MANIFEST, Artifact, Manifest  # noqa: E402
from toolkit.engines import ENGINES  # noqa: E402
from toolkit.errors import ArtifactCorrupt, ArtifactError, SourceError, UsageError  # noqa: E402
from toolkit.evaluate.verdict import in_a_word  # noqa: E402
from toolkit.export.convert import convert  # noqa: E402
from toolkit.export.lowering import lowering_for  # noqa: E402
from toolkit.locks import exclusive  # noqa: E402
from toolkit.recipes import fingerprints  # noqa: E402
from toolkit.recipes.kinds.convert import ConvertWork  # noqa: E402
from toolkit.recipes.share import Share  # noqa: E402
from toolkit.recipes.workspace import Workspace, write_atomically  # noqa: E402
from toolkit.settings import Settings  # noqa: E402
from toolkit.sources import ModelSource, resolve  # noqa: E402

_OF_EVERY_MODEL = ("transformers.modeling_layers", "transformers.models.auto.modeling_auto")


def run(work: ConvertWork, workspace: Workspace, settings: Settings) -> dict[str, Any]:
    """Convert, unless the artifact is there already.

    Raises:
        SourceError: the model is not what it was when the step was planned, or cannot be read.
        ToolkitError: see `toolkit.export.convert`.
    """
    if work.code != fingerprints.converting_code():
        raise UsageError(
            "this machine has another version of slm-toolkit than the one that made the plan",
            subject=work.request.model,
            next_step="Install the same version on every machine.",
        )
    torch.set_num_threads(work.threads)
    target = workspace.artifact(work.key)
    # Two recipes may want the same conversion at the same time.
    with exclusive(target.parent / f".{work.key}.lock"):
        found = True
        try:
            artifact = Artifact.load(target)
        except ArtifactError:
            workspace.remove_leftovers(work.key)
            shared = _shared(work.key, workspace)
            found = shared is not None
            artifact = shared or _convert(work, workspace, settings)
        _put(work.key, artifact, workspace)
    return {**_result(work, artifact.manifest), "found": found}


def load_backend(name: str) -> None:
    """Import everything that a backend needs, so that processes forked from this one have it."""
    lowering_for(ENGINES.get(name))
    # transformers imports what models are made of when the first model is made: several seconds.
    for module in _OF_EVERY_MODEL:
        importlib.import_module(module)


def _shared(key: str, workspace: Workspace) -> Artifact | None:
    """What another host made, when there is a share and it has that."""
    if workspace.share is None:
        return None
    try:
        return Share(workspace.share).get(key, workspace.artifact(key))
    except ArtifactCorrupt as error:
        print(f"{error}\nIt is made again.", file=sys.stderr)
        return None


def _put(key: str, artifact: Artifact, workspace: Workspace) -> None:
    """Give other hosts what this one has, unless they have it."""
    if workspace.share is not None and not Share(workspace.share).has(key, artifact):
        Share(workspace.share).put(key, artifact)


def _convert(work: ConvertWork, workspace: Workspace, settings: Settings) -> Artifact:
    request = work.request
    source = resolve(
        request.model,
        settings,
        revision=request.revision,
        offline=request.offline,
        trust_remote_code=request.trust_remote_code,
        # Planned as what the fetch step pinned.
        from_hub=work.source is not None,
    )
    _check_unchanged(work, source, settings)
    artifact = convert(source, request, workspace.artifact(work.key), settings)
    manifest = artifact.manifest.model_copy(update={"recipe_sha256": work.recipe_sha256})
    write_atomically(artifact.path / MANIFEST, manifest.model_dump_json(by_alias=True, indent=2))
    return Artifact(artifact.path, manifest)


def _check_unchanged(work: ConvertWork, source: ModelSource, settings: Settings) -> None:
    model = work.request.model
    planned = work.config_sha256
    if planned is not None and planned != fingerprints.random_config_sha256(model, settings):
        raise SourceError(
            "its config here is not the one that the step was planned with",
            subject=model,
            next_step="Give every host the same file, or plan again: slm recipe run RECIPE",
        )
    if work.source is not None and source.info != work.source:
        raise SourceError(
            f"is not what was fetched: {work.source.kind} revision {work.source.revision} then, "
            f"{source.info.kind} revision {source.info.revision} now",
            subject=work.request.model,
            next_step="Take what is there now: slm recipe run RECIPE --refetch",
        )


def _result(work: ConvertWork, manifest: Manifest) -> dict[str, Any]:
    return {
        "artifact": manifest.name,
        "sha256": manifest.sha256,
        "size_bytes": manifest.size_bytes,
        "seconds": manifest.conversion.seconds,
        "verdict": in_a_word(manifest),
        "alike": list(work.alike),
    }
