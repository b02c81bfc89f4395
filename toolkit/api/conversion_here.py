"""A conversion in this process."""

from __future__ import annotations

from pathlib import Path

from toolkit.artifact import Artifact
from toolkit.export.request import ConvertRequest
from toolkit.settings import Settings


def convert_here(request: ConvertRequest, output: Path, settings: Settings, *, overwrite: bool) -> Artifact:
    """Find the model and convert it in this process, in which a model's own code runs if it may run at all.

    Raises:
        ToolkitError: see :func:`toolkit.convert`.
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
