"""Fetching a model: whatever the hub has today is what this workspace goes on with."""

from __future__ import annotations

from typing import Any

from toolkit.export.quiet import hush_libraries
from toolkit.recipes.kinds.fetch import FetchWork
from toolkit.recipes.workspace import SourceLock, Workspace
from toolkit.settings import Settings

hush_libraries()

from toolkit.sources import resolve  # noqa: E402


def run(work: FetchWork, workspace: Workspace, settings: Settings) -> dict[str, Any]:
    """Get the model into the hub's cache and pin revision and hashes.

    Raises:
        SourceError: see `toolkit.sources.resolve`.
    """
    source = resolve(
        work.model,
        settings,
        revision=work.revision,
        offline=work.offline,
        trust_remote_code=work.trust_remote_code,
        from_hub=True,
    )
    config = {name: value for name, value in source.config.to_dict().items() if isinstance(value, int | bool)}
    lock = SourceLock(model=work.model, asked_revision=work.revision, info=source.info, config=config)
    workspace.write_source(work.lock, lock)
    return {"revision": source.info.revision, "kind": source.info.kind}
