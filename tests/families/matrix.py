"""Convert tiny configs on every engine and write what became of them into the table of docs/families.md.

To run all, which takes an hour on 2 cores, and then `make docs`:

    python tests/families/matrix.py
    python tests/families/matrix.py llama mixtral    # of these configs only
    python tests/families/matrix.py --missing        # what the table has no row for
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
import warnings
from dataclasses import replace
from pathlib import Path

from conversions_of_families import CONFIGS, ENGINES, outcome

from toolkit.models.support import Support, read_support, write_support
from toolkit.settings import Settings

SCHEMES = ("fp32", "8da4w")


def names() -> list[str]:
    """All configs."""
    return sorted(path.stem for path in CONFIGS.glob("*.json"))


def measured(name: str, engine: str, scheme: str, folder: Path, settings: Settings) -> Support:
    """What becomes of a config; a fault is an outcome, too."""
    try:
        return outcome(name, engine, folder, settings, scheme)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        text = (str(error).splitlines() or [""])[0][:120].replace(str(folder), "")
        return Support(name, "", engine, scheme, "traceback", reason=f"{type(error).__name__} {where} {text}")


def main() -> None:
    """Run, and write after each config."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", nargs="*")
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--scheme", action="append", choices=SCHEMES)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        settings = Settings(folder / "cache", folder / "data", "sqlite://")
        for name in chosen.configs or names():
            for engine in ENGINES:
                for scheme in chosen.scheme or SCHEMES:
                    known = {(row.config, row.engine, row.scheme): row for row in read_support()}
                    place = (name, engine, scheme)
                    if chosen.missing and place in known:
                        continue
                    plain = known.get((name, engine, "fp32"))
                    if scheme != "fp32" and plain is not None and plain.outcome not in ("converts", "wrong"):
                        # What is refused in fp32 is refused in any scheme.
                        known[place] = replace(plain, scheme=scheme, difference=None)
                    else:
                        known[place] = measured(name, engine, scheme, folder, settings)
                    write_support(known.values())
                    row = known[place]
                    print(
                        *place, row.outcome, row.difference or row.divergence or row.reason, file=sys.stderr
                    )


if __name__ == "__main__":
    main()
