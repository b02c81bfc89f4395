"""The part of the README that shows the published run."""

from __future__ import annotations

from pathlib import Path

from benchmarks.results import Results
from benchmarks.table import render_summary

BEGIN = "<!-- benchmarks: written by make bench -->"
END = "<!-- benchmarks end -->"


def show_in_readme(readme: Path, results: Results) -> None:
    """Put the summary of a run between the markers.

    Raises:
        ValueError: the README lacks the markers.
    """
    text = readme.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme.name} has no {BEGIN!r} ... {END!r}")
    readme.write_text(f"{before}{BEGIN}\n{render_summary(results)}\n{END}{after}")
