"""Reporting: one file about the runs of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolkit.recipes.kinds.report import ReportWork, written
from toolkit.recipes.workspace import Workspace
from toolkit.report.build import build_report
from toolkit.settings import Settings
from toolkit.store import open_store
from toolkit.store.filters import of_runs
from toolkit.store.tags import tag_runs, untag_runs


def run(work: ReportWork, workspace: Workspace, settings: Settings) -> dict[str, Any]:
    """Write the report; png makes a folder of pictures beside the others.

    Raises:
        ToolkitError: see `toolkit.report.build_report`.
    """
    file = Path(work.file)
    file.parent.mkdir(parents=True, exist_ok=True)
    tag = f"recipe:{work.title}"
    with open_store(settings.store_url) as store:
        # The tag always means the runs of the recipe as it is now.
        untag_runs(store, tag)
        tag_runs(store, tag, work.run_ids)
        build_report(
            store,
            written(file),
            settings,
            format_name=file.suffix.removeprefix("."),
            title=work.title,
            # Not by the tag: another machine's recipe of this name may share the store.
            where=of_runs(work.run_ids),
            selection=f"The runs of the recipe {work.title}.",
            batch=work.batch,
        )
    return {"file": str(file), "runs": len(work.run_ids)}
