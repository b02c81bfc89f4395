"""Energy from the battery's own counters; see docs/energy.md."""
