from __future__ import annotations

from pathlib import Path

import pytest
from benchmark_samples import results

from benchmarks.cli import PUBLISHED, ROOT
from benchmarks.readme import BEGIN, END, show_in_readme
from benchmarks.results import Results
from benchmarks.table import render, render_summary


def test_the_summary_replaces_what_stood_between_the_markers(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"top\n{BEGIN}\nold\n{END}\nbottom\n")
    show_in_readme(readme, results())
    text = readme.read_text()
    assert text.startswith("top\n") and text.endswith("bottom\n")
    assert "old" not in text and render_summary(results()) in text
    show_in_readme(readme, results())
    assert readme.read_text() == text


def test_a_readme_without_markers_is_not_touched(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("nothing here")
    with pytest.raises(ValueError, match=r"README\.md has no"):
        show_in_readme(readme, results())
    assert readme.read_text() == "nothing here"


def test_readme_and_page_show_the_published_run() -> None:
    published = PUBLISHED / "latest.json"
    if not published.is_file():
        pytest.skip("no run has been published yet: make bench")
    run = Results.model_validate_json(published.read_text())
    assert render_summary(run) in (ROOT / "README.md").read_text()
    assert render(run) == (PUBLISHED / "latest.md").read_text()
