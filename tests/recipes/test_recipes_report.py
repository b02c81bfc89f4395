"""The report step of a recipe: about the recipe's own runs, whoever else writes into the store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from sample_runs import HOST, MODELS, fill, sample_runs

from toolkit.recipes.kinds.report import ReportWork
from toolkit.recipes.work import report
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings
from toolkit.store import Store, open_store
from toolkit.store.tags import tag_runs


def test_another_machines_recipe_of_the_same_name_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(tmp_path / "cache", tmp_path / "data", f"sqlite:///{tmp_path / 'results.db'}")
    with open_store(settings.store_url) as store:
        fill(store, sample_runs(models=MODELS[:1], devices=(HOST,)))
        ids = store.run_ids()
    own = tuple(ids[:2])

    def tagged_by_both(store: Store, tag: str, run_ids: Sequence[str]) -> int:
        return tag_runs(store, tag, ids)

    # The other machine's tags come between this one's and the report.
    monkeypatch.setattr(report, "tag_runs", tagged_by_both)
    file = tmp_path / "nightly.md"
    report.run(ReportWork(file=str(file), title="nightly", run_ids=own), Workspace(tmp_path), settings)
    listed = file.read_text().partition("## Runs")[2]
    assert len(ids) > 2 and sum(line.startswith("| ok") for line in listed.splitlines()) == 2, listed
