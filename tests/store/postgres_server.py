"""A PostgreSQL server of the tests' own: on loopback, with its own data, gone afterwards."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

USER = "slm_tests"
# The server refuses to run as root; Debian's package makes this account for it.
_ACCOUNT = "postgres"
_START_TIMEOUT_S = 60
# Alembic's own table.
_VERSIONS = "alembic_version"
_DISCONNECT_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_COLUMNS = """
SELECT relname, attname, format_type(atttypid, atttypmod)
FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
ORDER BY 1, 2
"""


def find_server() -> Path | None:
    """The folder of the newest server's programs, or None when there is none."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    installed = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(installed, key=lambda path: int(path.parent.name), default=None)


class PostgresServer:
    """A running server."""

    def __init__(self, port: int, password: str) -> None:
        self._port = port
        self._password = password

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://{USER}:{self._password}@127.0.0.1:{self._port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """A connection to a database, by default the server's own."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self._port,
            user=USER,
            password=self._password,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def new_database(self, template: str = "template1") -> str:
        """Make a database as a copy of another one; returns its name."""
        name = f"slm_{secrets.token_hex(6)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def temporary_database(self, template: str) -> Iterator[str]:
        """The URL of a new database, which is dropped in the end."""
        name = self.new_database(template)
        try:
            yield self.url(name)
        finally:
            self.drop_database(name)

    def empty_store(self, name: str) -> list[tuple[str, ...]]:
        """Remove every row of a store and start its numbers anew, whoever is still connected.

        Returns what is left: its columns, and the version of its tables.
        """
        with self.connect(name) as connection:
            connection.execute(_DISCONNECT_OTHERS)
            columns = connection.execute(_COLUMNS).fetchall()
            names = {table for table, *_ in columns} - {_VERSIONS}
            connection.execute(f"TRUNCATE {', '.join(sorted(names))} RESTART IDENTITY CASCADE")
            return columns + connection.execute(f"SELECT * FROM {_VERSIONS}").fetchall()


@contextmanager
def running_server(programs: Path) -> Iterator[PostgresServer]:
    """Start a server with a data directory of its own; stops it and removes the data at the end."""
    # Not pytest's folder: that is closed to the server's account.
    folder = Path(tempfile.mkdtemp(prefix="slm-postgres-"))
    try:
        password = secrets.token_hex(16)
        (folder / "password").write_text(password)
        account = _server_account(folder)
        data = folder / "data"
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", USER, "--pwfile", folder / "password", "-N"]
            + ["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"],
            check=True,
            capture_output=True,
            cwd=folder,
            timeout=_START_TIMEOUT_S,
            **account,
        )
        server = PostgresServer(_free_port(), password)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [programs / "postgres", "-D", data, "-p", str(server._port), "-k", ""]
                # Nothing of it has to survive a power cut.
                + [*_set("listen_addresses", "127.0.0.1"), *_set("fsync", "off")]
                + [*_set("synchronous_commit", "off"), *_set("full_page_writes", "off")],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                **account,
            )
        try:
            _wait_until_it_answers(server, process, folder / "log")
            yield server
        finally:
            # SIGINT is its fast shutdown.
            process.send_signal(signal.SIGINT)
            process.wait(timeout=_START_TIMEOUT_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _set(name: str, value: str) -> tuple[str, str]:
    return "-c", f"{name}={value}"


def _server_account(folder: Path) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    for path in (folder, folder / "password"):
        shutil.chown(path, _ACCOUNT)
    return {"user": _ACCOUNT, "group": _ACCOUNT, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_until_it_answers(server: PostgresServer, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(_START_TIMEOUT_S * 10):
        try:
            server.connect().close()
            return
        except psycopg.OperationalError:
            if _ended_within(process, seconds=0.1):
                break
    raise RuntimeError(f"PostgreSQL does not start: {log.read_text()}")


def _ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
