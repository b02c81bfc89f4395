"""Stores for tests: of SQLite and of a real PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import PostgresServer, find_server, running_server

from toolkit.store import Store, open_store


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    programs = find_server()
    if programs is None:
        pytest.skip("no PostgreSQL server here: install Debian's package `postgresql`")
    with running_server(programs) as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without runs, to copy: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("store") / "template.db"
    open_store(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    database = postgres_server.new_database()
    open_store(postgres_server.url(database)).close()
    return database


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A SQLite store without runs."""
    shutil.copy(sqlite_template, tmp_path / "results.db")
    return f"sqlite:///{tmp_path / 'results.db'}"


@pytest.fixture(scope="session")
def postgres_tables(postgres_server: PostgresServer, postgres_template: str) -> list[tuple[str, ...]]:
    """What an empty store consists of."""
    return postgres_server.empty_store(postgres_template)


@pytest.fixture(scope="session")
def postgres_stores() -> list[str]:
    """The databases of stores without runs that no test is using."""
    return []


@pytest.fixture
def postgres_url(
    postgres_server: PostgresServer,
    postgres_template: str,
    postgres_tables: list[tuple[str, ...]],
    postgres_stores: list[str],
) -> Iterator[str]:
    """A PostgreSQL store without runs. Emptying one that another test had is faster than making one."""
    name = postgres_stores.pop() if postgres_stores else postgres_server.new_database(postgres_template)
    yield postgres_server.url(name)
    # Nobody gets a store whose tables a test has changed.
    if postgres_server.empty_store(name) == postgres_tables:
        postgres_stores.append(name)
    else:
        postgres_server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """A store without runs, once of each kind: the suite is the same for all."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that no toolkit has seen yet, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.temporary_database("template1") as url:
        yield url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url) as opened:
        yield opened


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Store]:
    """For what has nothing to do with the kind of database."""
    with open_store(sqlite_url) as opened:
        yield opened
