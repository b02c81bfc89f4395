"""What holds for the whole suite."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from debian_packages import summary_line, with_earlier_parts
from private_adb import AdbServer, adb_binary
from private_sshd import Board

from toolkit.devices.adb.client import AdbClient
from toolkit.settings import Settings

# Stores, for all who read or judge runs; C++ programs and the runner, for all who run some.
pytest_plugins = ["compiled_programs", "runner_process", "store_fixtures"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was skipped for want of Debian packages, and the command that brings them."""
    skipped = terminalreporter.stats.get("skipped", [])
    # (file, line, reason)
    reasons = [report.longrepr[2] for report in skipped if isinstance(report.longrepr, tuple)]
    line = summary_line(with_earlier_parts(reasons))
    if line:
        terminalreporter.write_line(line, yellow=True)


@pytest.fixture(scope="session", autouse=True)
def one_cache() -> Iterator[None]:
    """The user's cache, also while a test moves HOME: runner, headers and demo model are fetched once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLM_CACHE_DIR", str(Settings.from_environment().cache_dir))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_terminal_size() -> Iterator[None]:
    """Tables are as wide as in a pipe, also where the suite is started with COLUMNS in its environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("COLUMNS", "LINES"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Undo a shell that starts background jobs with Ctrl-C ignored: tests send it to their children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def adb_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AdbServer]:
    """The real adb with a server, a key and a port of its own, for all that the tests start as well.

    ``@pytest.mark.parametrize("adb_server", ["path", "wheel"], indirect=True)`` chooses among adb versions.
    """
    binary = adb_binary(getattr(request, "param", "default"))
    server = AdbServer(AdbClient(binary), tmp_path_factory.mktemp("adb-home"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environ.items():
            patch.setenv(name, value)
        patch.delenv("ANDROID_SERIAL", raising=False)
        server.start()
        yield server
        server.kill()


@pytest.fixture(scope="session")
def running_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """An ssh server of the tests' own; only the fixture ``board`` leads ssh to it."""
    board = Board(tmp_path_factory.mktemp("board"))
    board.start()
    yield board
    board.remove()


@pytest.fixture
def board(running_board: Board, monkeypatch: pytest.MonkeyPatch) -> Board:
    """A healthy Linux board."""
    for name, value in running_board.environ.items():
        monkeypatch.setenv(name, value)
    return running_board
