"""Which profile runs the store has: by ids that follow from a step's key, so that none is stored twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from toolkit.errors import RunNotFound
from toolkit.settings import Settings
from toolkit.store import Store
from toolkit.store.ids import id_of_text


def run_id(key: str, attempt: int, workspace: str = "") -> str:
    """The id of an attempt's run, known before it starts and the same after a kill.

    Args:
        key: the step's.
        attempt: its number.
        workspace: the identity of the workspace: another one makes runs of its own.
    """
    salt = f"/{workspace}" if workspace else ""
    return id_of_text(f"{key}/{attempt}{salt}")


def stored_statuses(run_ids: Iterable[str], settings: Settings) -> Mapping[str, str]:
    """Status of each of these runs that the store has.

    Raises:
        StoreError: the store cannot be opened.
    """
    from toolkit.store import open_store

    wanted = list(run_ids)
    if not wanted:
        return {}
    with open_store(settings.store_url) as store:
        known = {one: status_of(store, one) for one in wanted}
    return {one: status for one, status in known.items() if status is not None}


def status_of(store: Store, one: str) -> str | None:
    """A run's status, or None when the store does not have it."""
    try:
        return store.get_run(one).run.status
    except RunNotFound:
        return None
