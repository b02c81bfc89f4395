"""From a model to an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolkit.artifact import Artifact, check_target
from toolkit.export.request import ConvertRequest
from toolkit.settings import Settings


def convert(
    model: str | ConvertRequest,
    output: Path | str,
    *,
    force: bool = False,
    settings: Settings | None = None,
    **options: Any,
) -> Artifact:
    """Convert a model to an artifact folder.

    Args:
        model: hub id, folder, .gguf file or random:NAME; or a whole request.
        output: the folder to write.
        force: replace an artifact that is there.
        settings: caches; those of the environment by default.
        options: fields of :class:`ConvertRequest`, such as ``quant="8da4w"``.

    Raises:
        ToolkitError: anything a user can cause; see toolkit.errors.
    """
    given = {"model": model} if isinstance(model, str) else dict(model)
    kind = ConvertRequest if isinstance(model, str) else type(model)
    request = kind.of(**{**given, **options})
    settings = settings or Settings.from_environment()
    check_target(Path(output), overwrite=force)
    if request.trust_remote_code:
        from toolkit.api.conversion_apart import convert_apart

        return convert_apart(request, Path(output), settings, overwrite=force)
    return convert_here(request, Path(output), settings, overwrite=force)


def convert_here(request: ConvertRequest, output: Path, settings: Settings, *, overwrite: bool) -> Artifact:
    """Find the model and convert it in this process, in which a model's own code runs if it may run at all.

    Raises:
        ToolkitError: see :func:`convert`.
    """
    # Loads torch, as everything that follows does.
    from toolkit.export.quantization import check_request
    from toolkit.export.quiet import hush_libraries

    check_request(request)
    hush_libraries()
    from toolkit.export.convert import convert as convert_source
    from toolkit.sources import resolve

    source = resolve(
        request.model,
        settings,
        revision=request.revision,
        offline=request.offline,
        trust_remote_code=request.trust_remote_code,
    )
    return convert_source(source, request, output, settings, overwrite=overwrite)
