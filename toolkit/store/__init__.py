"""The results database."""

from toolkit.store.ids import new_run_id
from toolkit.store.store import Store, open_store

__all__ = ["Store", "new_run_id", "open_store"]
