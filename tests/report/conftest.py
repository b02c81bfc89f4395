from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Browser, chromium
from sample_runs import fill, sample_runs

from toolkit.report import BatchStatus, BatchStep, build_report
from toolkit.settings import Settings
from toolkit.store import Store, open_store

BATCH = BatchStatus(
    name="two-backend",
    steps=tuple(
        BatchStep(
            name=f"step {state}", kind="convert", state=state, detail="why" if state == "failed" else None
        )
        for state in ("done", "cached", "running", "waiting", "failed", "skipped")
    ),
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("report")
    return Settings(
        # The library's JavaScript takes seconds to bundle, so it stays in the suite's cache.
        cache_dir=Settings.from_environment().cache_dir,
        data_dir=folder,
        store_url=f"sqlite:///{folder / 'results.db'}",
    )


@pytest.fixture(scope="module")
def store(settings: Settings) -> Iterator[Store]:
    """A store with every model, scheme, backend and device of the samples."""
    with open_store(settings.store_url) as opened:
        fill(opened, sample_runs())
        yield opened


@pytest.fixture
def empty_store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'empty.db'}") as opened:
        yield opened


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One for the pages of all tests: it takes seconds to start."""
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def page(store: Store, settings: Settings) -> Path:
    """The store's report, with a batch of recipe steps in every state."""
    return build_report(store, settings.data_dir / "report.html", settings, batch=BATCH)
