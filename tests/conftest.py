"""What holds for the whole suite."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from toolkit.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def one_cache() -> Iterator[None]:
    """The user's cache, also while a test moves HOME: runner, headers and demo model are fetched once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLM_CACHE_DIR", str(Settings.from_environment().cache_dir))
        yield


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Undo a shell that starts background jobs with Ctrl-C ignored: tests send it to their children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
