"""Convert tiny configs on every engine and write what became of them into the table of docs/families.md.

In fp32 each conversion starts from an empty cache; another process, in which Python orders sets otherwise,
converts the same again from what the cache holds then, and must say the same byte for byte. Several of these
may run at once.

To run all, which takes an hour on 2 cores, and then `make docs`:

    python tests/families/matrix.py
    python tests/families/matrix.py llama mixtral    # of these configs only
    python tests/families/matrix.py --missing        # what has no row, or was converted once
    python tests/families/matrix.py --runtimes       # runner and official runtime, one for each mechanism
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import replace
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

from conversions_of_families import (
    CONFIGS,
    ENGINES,
    contents,
    contents_or_refusal,
    converted,
    outcome,
    tiny_source,
)
from test_families_mechanisms import EXPERTS, MECHANISMS
from test_families_official_runtimes import tokens_of_both

from toolkit.artifact import Artifact
from toolkit.locks import exclusive
from toolkit.models.support import Support, read_support, write_support
from toolkit.settings import Settings
from toolkit.sources import ModelSource
from toolkit.store import open_store

SCHEMES = ("fp32", "8da4w")
KERNELS = ("executorch.extension.llm.custom_ops.custom_ops", "executorch.kernels.quantized")
# A short run without a gate, its prompt in chunks.
FLAGS = (
    *("--prompt-tokens", "16", "--generate-tokens", "4", "--repetitions", "2", "--warmup", "1"),
    *("--threads", "1", "--gate", "off", "--prefill-chunk", "5"),
)


def names() -> list[str]:
    """All configs."""
    return sorted(path.stem for path in CONFIGS.glob("*.json"))


def measured(
    name: str,
    engine: str,
    scheme: str,
    folder: Path,
    settings: Settings,
    *,
    made: Callable[[Artifact], None] = lambda artifact: None,
) -> Support:
    """What becomes of a config; a fault is an outcome, too."""
    try:
        return outcome(name, engine, folder, settings, scheme, made=made)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        text = (str(error).splitlines() or [""])[0][:120].replace(str(folder), "")
        return Support(name, "", engine, scheme, "traceback", reason=f"{type(error).__name__} {where} {text}")


def measured_twice(name: str, engine: str, folder: Path, others: Executor) -> Support:
    """What becomes of a config in fp32, with an empty cache and with a full one."""
    settings = Settings(folder / f"cache-{engine}", folder / "data", "sqlite://")
    first: list[dict[str, object]] = []
    again: list[Future[dict[str, object] | str]] = []

    def made(artifact: Artifact) -> None:
        first.append(contents(artifact))
        again.append(others.submit(contents_or_refusal, name, engine, folder, settings))

    found = measured(name, engine, "fp32", folder, settings, made=made)
    if not first:
        again.append(others.submit(contents_or_refusal, name, engine, folder, settings))
    second = again[0].result()
    if isinstance(second, str):
        same = found.outcome in ("refused", "traceback")
        return found if same else replace(found, outcome="traceback", reason=f"a full cache: {second}")
    other = sorted(key for key in second if not first or second[key] != first[0].get(key))
    if other:
        return replace(found, outcome="traceback", reason=f"a full cache changes {', '.join(other)}")
    return replace(found, same_from_cache=True)


def main() -> None:
    """Run, and write after each config."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", nargs="*")
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--runtimes", action="store_true")
    parser.add_argument("--scheme", action="append", choices=SCHEMES)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    if chosen.runtimes:
        # The official runtime loads its kernels with these.
        for package in KERNELS:
            import_module(package)
        for name in chosen.configs or (*MECHANISMS.values(), *EXPERTS.values()):
            for engine in ENGINES:
                with tempfile.TemporaryDirectory() as home:
                    run_by_others(name, engine, Path(home), missing=chosen.missing)
        return
    with ProcessPoolExecutor(1, get_context("spawn")) as others:
        for name in chosen.configs or names():
            with tempfile.TemporaryDirectory() as home:
                for engine in ENGINES:
                    for scheme in chosen.scheme or SCHEMES:
                        row_of(name, engine, scheme, Path(home), others, missing=chosen.missing)


def _only_once(row: Support) -> bool:
    """Whether it converted, and was not converted again from a full cache."""
    return row.scheme == "fp32" and row.outcome == "converts" and row.same_from_cache is None


def row_of(name: str, engine: str, scheme: str, folder: Path, others: Executor, *, missing: bool) -> None:
    """Measure and write one row."""
    known = {(row.config, row.engine, row.scheme): row for row in read_support()}
    place = (name, engine, scheme)
    if missing and place in known and not _only_once(known[place]):
        return
    plain = known.get((name, engine, "fp32"))
    if scheme == "fp32":
        row = measured_twice(name, engine, folder, others)
    elif plain is not None and plain.outcome not in ("converts", "wrong"):
        # What is refused in fp32 is refused in any scheme.
        row = replace(plain, scheme=scheme, difference=None)
    else:
        settings = Settings(folder / f"cache-{engine}", folder / "data", "sqlite://")
        row = measured(name, engine, scheme, folder, settings)
    before = known.get(place)
    if before is not None:
        row = replace(row, official=before.official, runner=before.runner)
    put(row)
    print(*place, row.outcome, row.difference or row.divergence or row.reason, file=sys.stderr, flush=True)


def run_by_others(name: str, engine: str, folder: Path, *, missing: bool) -> None:
    """What the official runtime and the runner make of a config in fp32, added to its row."""
    rows = {(row.config, row.engine): row for row in read_support() if row.scheme == "fp32"}
    row = rows.get((name, engine))
    if row is None or row.outcome != "converts" or (missing and None not in (row.official, row.runner)):
        return
    settings = Settings(folder / "cache", folder / "data", "sqlite://")
    source = tiny_source(name, folder, settings)
    artifact = converted(source, engine, "fp32", folder / "artifact", settings)
    found = replace(
        row,
        official=said(lambda: same_in_the_official_runtime(source, artifact)),
        runner=said(lambda: same_on_the_runner(artifact, folder / "runs")),
    )
    put(found)
    print(name, engine, found.official, found.runner, file=sys.stderr, flush=True)


def said(run: Callable[[], bool]) -> bool | None:
    """Whether a run gave the right tokens; None where it gave none, which is told and no answer."""
    try:
        return run()
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return None


def same_in_the_official_runtime(source: ModelSource, artifact: Artifact) -> bool:
    """Whether the runtime as its makers publish it gives transformers' greedy tokens."""
    ours, theirs = tokens_of_both(source, artifact.manifest.backend.name, artifact.path)
    return ours == theirs


def same_on_the_runner(artifact: Artifact, home: Path) -> bool:
    """Whether `slm profile` on this host gives the host's greedy tokens."""
    store = f"sqlite:///{home / 'results.db'}"
    command = [sys.executable, "-m", "toolkit.cli.main", "profile", str(artifact.path), "-d", "local", *FLAGS]
    environment = os.environ | {"SLM_DATA_DIR": str(home), "SLM_STORE_URL": store}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    with open_store(store) as opened:
        [entry] = opened.list_runs()
    return bool(entry.run.greedy_total) and entry.run.greedy_matched == entry.run.greedy_total


def put(row: Support) -> None:
    """Write a row in the place of an earlier one."""
    place = (row.config, row.engine, row.scheme)
    with exclusive(Path(tempfile.gettempdir()) / "slm-families-matrix.lock"):
        known = {(other.config, other.engine, other.scheme): other for other in read_support()}
        write_support([*(known | {place: row}).values()])


if __name__ == "__main__":
    main()
