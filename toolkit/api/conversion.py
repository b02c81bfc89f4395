"""From a model to an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolkit.api.conversion_apart import convert_apart
from toolkit.api.conversion_here import convert_here
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
        return convert_apart(request, Path(output), settings, overwrite=force)
    return convert_here(request, Path(output), settings, overwrite=force)
