"""One profile run: push, attend, collect, judge, keep."""
