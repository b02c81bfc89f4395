"""The results database."""

from toolkit.store.store import Store, new_run_id, open_store

__all__ = ["Store", "new_run_id", "open_store"]
