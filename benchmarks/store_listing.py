"""How long listings take in a store of 1,000,000 repetitions: `python -m benchmarks.store_listing`.

Fills an empty SQLite file and, where a server is installed, an empty PostgreSQL database with runs of 1
warm-up and 5 repetitions of 127 decode steps each, and times what people ask: the query alone (median of
several) and the whole command, Python's start included, by the clock and in processor time (the least of
several). Ends with 1 when a listing takes longer than the limit.

A listing is judged by its command's processor time, which suffers less than the clock from what else this
machine does, and on a server, which answers in a process of its own, by the query's time in addition.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from toolkit.analysis.compare import compare
from toolkit.analysis.compared_figures import find_figure
from toolkit.analysis.regress import regress
from toolkit.store import Store, open_store, tables
from toolkit.store.tags import list_tags

ROOT = Path(__file__).parents[1]
LIMIT_S = 1.0
TIMES = 5
COMMAND_TIMES = 3
STEPS = 127
REPETITIONS_OF_A_RUN = 6
_RUNS_AT_A_TIME = 1000
_DEVICES, _ARTIFACTS = 12, 60
_DAY_NS = 86_400 * 10**9
_FIRST_NS = 1_750_000_000 * 10**9

DECODE = find_figure("decode")
RUN_ID = f"run-{4242:012d}"


@dataclass(frozen=True)
class Question:
    """What people ask: in Python, and as the command that does the same, if it is timed as well."""

    name: str
    ask: Callable[[Store], object]
    command: tuple[str, ...] = ()
    is_listing: bool = True


def listing(name: str, where: str | None, sort: tuple[str, ...] = (), *, limit: int = 50) -> Question:
    """A listing of some runs, which also says how many there are in all."""
    arguments = [
        "list",
        *(["--where", where] if where else []),
        *(["--sort", ",".join(sort)] if sort else []),
        *("--limit", str(limit)),
    ]
    return Question(
        name,
        lambda store: (store.list_runs(where=where, sort=sort, limit=limit), store.count_runs(where)),
        tuple(arguments),
    )


QUESTIONS = (
    listing("list: newest", None),
    listing("list: the newest 1000", None, limit=1000),
    listing(
        "list: decode > 50 and backend = 'executorch', by -decode",
        "decode > 50 and backend = 'executorch'",
        ("-decode",),
    ),
    listing("list: by prefill", None, ("prefill",)),
    listing("list: by -peak_bytes (no index)", None, ("-peak_bytes",)),
    listing("list: model contains, by -load_ns (no index)", "model contains 'MODEL-3'", ("-load_ns",)),
    listing("list: by the artifact's model, then -decode", None, ("model", "-decode")),
    listing("list: tag = 'nightly'", "tag = 'nightly'"),
    listing("list: status = 'oom_killed'", "status = 'oom_killed'"),
    listing("list: one device since a date", "serial = 'phone-3' and created > '2025-09-01'"),
    listing("list: nothing found", "decode > 1e9 and peak_bytes < 0"),
    Question("count: decode > 50 or emulated", lambda store: store.count_runs("decode > 50 or emulated")),
    Question("show: one run", lambda store: store.get_run(RUN_ID), ("show", RUN_ID)),
    Question("find: a run by the start of its id", lambda store: store.find_run_id(RUN_ID)),
    Question("tags", list_tags, ("tags",)),
    Question(
        "compare: 400 runs along threads",
        lambda store: compare(store, DECODE, ["threads"], where="tag = 'small'"),
        ("compare", "--axis", "threads", "--where", "tag = 'small'"),
        is_listing=False,
    ),
    Question(
        "regress: 400 runs against 400",
        lambda store: regress(
            store, [DECODE], "small", limit=0.05, where="tag = 'smaller'", axes=["version"]
        ),
        is_listing=False,
    ),
)


def main() -> int:
    """Fill, time, print; 1 when a listing is too slow."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store_listing", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1_000_000, help="rows, default %(default)s")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], nargs="*", help="default: both")
    arguments = parser.parse_args()
    slow = False
    for name in arguments.database or ["sqlite", "postgresql"]:
        with ExitStack() as stack:
            url = _new_database(name, stack)
            if url is None:
                print(f"{name}: no server here; install Debian's package `postgresql`")
                continue
            slow |= _measure(name, url, arguments.repetitions)
    return int(slow)


def _new_database(name: str, stack: ExitStack) -> str | None:
    if name == "sqlite":
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="slm-listing-"))
        return f"sqlite:///{folder}/results.db"
    # The tests know how to start a server.
    sys.path.insert(0, str(ROOT / "tests" / "store"))
    from postgres_server import find_server, running_server

    programs = find_server()
    if programs is None:
        return None
    server = stack.enter_context(running_server(programs))
    return server.url(server.new_database())


def _measure(name: str, url: str, repetitions: int) -> bool:
    runs = repetitions // REPETITIONS_OF_A_RUN
    slowest_s = 0.0
    with open_store(url) as store:
        started = time.monotonic()
        fill(store, runs)
        with store.reading() as connection:
            rows = connection.scalar(sa.select(sa.func.count()).select_from(tables.repetitions))
        print(
            f"\n{name}: {rows:,} repetitions of {runs:,} runs, filled in {time.monotonic() - started:.0f} s"
        )
        print(f"{'':58}{'query':>10}{'command':>10}{'processor':>11}")
        for question in QUESTIONS:
            query_s = statistics.median(_timed(lambda: question.ask(store)) for _ in range(TIMES))  # noqa: B023
            line, judged_s = f"{question.name:58}{query_s:8.3f} s", query_s
            if question.command:
                command_s, processor_s = _timed_command(question.command, url)
                line += f"{command_s:8.2f} s{processor_s:9.2f} s"
                judged_s = processor_s + (0 if name == "sqlite" else query_s)
            print(line, flush=True)
            if question.is_listing:
                slowest_s = max(slowest_s, judged_s)
    verdict = "ok" if slowest_s < LIMIT_S else "TOO SLOW"
    print(f"slowest listing, as judged: {slowest_s:.2f} s, limit {LIMIT_S:.0f} s: {verdict}")
    return slowest_s >= LIMIT_S


def _timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _timed_command(arguments: tuple[str, ...], url: str) -> tuple[float, float]:
    """Seconds by the clock and of the processor, the least of each."""
    command = [sys.executable, "-m", "toolkit.cli.main", "results", *arguments]
    environment = {**os.environ, "SLM_STORE_URL": url}
    clock_s, processor_s = [], []
    for _ in range(COMMAND_TIMES):
        before = _processor_time_of_children_s()
        clock_s.append(
            _timed(lambda: subprocess.run(command, env=environment, check=True, capture_output=True))
        )
        processor_s.append(_processor_time_of_children_s() - before)
    return min(clock_s), min(processor_s)


def _processor_time_of_children_s() -> float:
    """Of those that have ended, so a running server's is not in it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def fill(store: Store, runs: int) -> None:
    """Write runs in bulk: the store's own way, one transaction for each, would take an hour."""
    chance = random.Random(0)
    with store.writing() as connection:
        connection.execute(sa.insert(tables.devices), list(_devices()))
        connection.execute(sa.insert(tables.artifacts), list(_artifacts()))
    for first in range(0, runs, _RUNS_AT_A_TIME):
        numbers = range(first, min(first + _RUNS_AT_A_TIME, runs))
        with store.writing() as connection:
            connection.execute(sa.insert(tables.runs), [_run(number, chance) for number in numbers])
            connection.execute(
                sa.insert(tables.repetitions),
                [row for number in numbers for row in _repetitions(number, chance)],
            )
            connection.execute(
                sa.insert(tables.conditions), [row for number in numbers for row in _conditions(number)]
            )
            tags = [row for number in numbers for row in _tags(number, runs)]
            if tags:
                connection.execute(sa.insert(tables.tags), tags)
    _analyze(store)


def _analyze(store: Store) -> None:
    # A server does this by itself after a while; a query planner that knows nothing is not what is measured.
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def _devices() -> Iterator[dict[str, Any]]:
    for number in range(_DEVICES):
        yield {
            "key": f"{number:064x}", "serial": f"phone-{number}", "kind": "adb", "emulated": number == 0,
            "model": f"Phone {number}", "abi": "arm64-v8a", "os_version": "16",
        }  # fmt: skip


def _artifacts() -> Iterator[dict[str, Any]]:
    manifest = {"schema": "slm-artifact/1", "files": [{"path": "x" * 60, "sha256": "0" * 64}] * 20}
    for number in range(_ARTIFACTS):
        scheme = ("8da4w", "4w", "8w", "fp16")[number % 4]
        yield {
            "sha256": f"{number:064x}", "name": f"artifact-{number}", "model": f"org/model-{number // 4}",
            "model_type": "llama", "backend": ("onnxruntime", "executorch")[number % 2],
            "backend_version": "1",
            "quantization": scheme, "scheme": scheme, "algorithm": "rtn", "context_length": 2048,
            "size_bytes": 10**8, "unique_parameters": 10**8, "stored_parameters": 10**8, "manifest": manifest,
        }  # fmt: skip


def _run(number: int, chance: random.Random) -> dict[str, Any]:
    failed = number % 20 == 7
    artifact = number % _ARTIFACTS
    decode = None if failed else chance.uniform(5, 120)
    return {
        "id": f"run-{number:012d}", "device_key": f"{number % _DEVICES:064x}",
        "artifact_sha256": f"{artifact:064x}", "status": "oom_killed" if failed else "ok",
        "error": "killed by the system" if failed else None, "protocol": 2,
        "created_unix_ns": _FIRST_NS + number * (200 * _DAY_NS // 200_000), "toolkit_version": "0.1.0",
        "engine": ("onnxruntime", "executorch")[artifact % 2], "engine_version": "1.31.1",
        "runner_version": "0.1.0", "kernels": "own:neon", "abi": "arm64-v8a", "bundle_sha256": "b" * 64,
        "argv": ["./lib/ld-linux-aarch64.so.1", "--library-path", "./lib", "./slm-runner-ort", "profile"] * 3,
        "exit_code": 0, "prompt_tokens": 512, "generate_tokens": STEPS + 1, "depth": 0, "prefill_chunk": 512,
        "context_length": 2048, "warmup": 1, "repetitions": 5,
        "threads": 1 + number // 60 % 4, "affinity": [],
        "load_ns": chance.randrange(10**9), "prefill_tokens_per_second": decode and decode * 8,
        "decode_tokens_per_second": decode, "peak_bytes": None if failed else chance.randrange(10**9),
    }  # fmt: skip


def _repetitions(number: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    step_ns = chance.randrange(8_000_000, 200_000_000)
    steps = [step_ns + index for index in range(STEPS)]
    for index in range(REPETITIONS_OF_A_RUN):
        yield {
            "run_id": f"run-{number:012d}", "index": index, "warmup": index == 0, "started_unix_ns": index,
            "prefill_ns": chance.randrange(10**8, 10**9), "decode_ns": steps, "decode_total_ns": sum(steps),
        }  # fmt: skip


def _conditions(number: int) -> Iterator[dict[str, Any]]:
    for moment in ("before", "after"):
        yield {"run_id": f"run-{number:012d}", "moment": moment, "unix_ns": 1, "cpu_frequencies_khz": [1] * 8}


def _tags(number: int, runs: int) -> Iterator[dict[str, Any]]:
    run_id = f"run-{number:012d}"
    if number % 50 == 0:
        yield {"run_id": run_id, "tag": "nightly"}
    # One artifact on one device, so that the runs differ in their threads only.
    if number % 60 == 1 and number < 60 * 400:
        yield {"run_id": run_id, "tag": "small"}
    if number % 60 == 1 and 60 * 400 <= number < 60 * 800:
        yield {"run_id": run_id, "tag": "smaller"}


if __name__ == "__main__":
    sys.exit(main())
