"""Convert tiny configs on every engine and write what became of them into the table of docs/families.md.

In fp32 each conversion starts from an empty cache; another process, in which Python orders sets otherwise,
converts the same again from what the cache holds then, and must say the same byte for byte. Several of these
may run at once.

To run all, which takes an hour on 2 cores, and then `make docs`:

    python tests/families/matrix.py
    python tests/families/matrix.py llama mixtral    # of these configs only
    python tests/families/matrix.py --missing        # what has no row, or was converted once
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from conversions_of_families import CONFIGS, ENGINES, contents, contents_or_refusal, outcome

from toolkit.artifact import Artifact
from toolkit.locks import exclusive
from toolkit.models.support import Support, read_support, write_support
from toolkit.settings import Settings

SCHEMES = ("fp32", "8da4w")


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
    parser.add_argument("--scheme", action="append", choices=SCHEMES)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
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
    with exclusive(Path(tempfile.gettempdir()) / "slm-families-matrix.lock"):
        known = {(other.config, other.engine, other.scheme): other for other in read_support()}
        write_support([*(known | {place: row}).values()])
    print(*place, row.outcome, row.difference or row.divergence or row.reason, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
