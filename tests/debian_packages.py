"""What a run of the tests says in the end about Debian packages that this machine lacks."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

_CHECKOUT = Path(__file__).parents[1]
# In the words of the tests that skip: "needs Debian's packages `a` and b".
_NEED = re.compile(r"Debian's packages? ")


def listed_packages() -> list[str]:
    """Names in ``.ci/debian-packages.txt``."""
    lines = (_CHECKOUT / ".ci" / "debian-packages.txt").read_text().splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def summary_line(reasons: Sequence[str]) -> str | None:
    """One line on the tests that were skipped for want of a package; None when there was none.

    Args:
        reasons: why tests were skipped, one per test.
    """
    wanting = [reason for reason in reasons if _NEED.search(reason)]
    if not wanting:
        return None
    # A test names the first package that it misses; the others are missing all the same.
    missing = sorted({name for name in listed_packages() if _named(name, wanting)} | not_installed())
    command = ".ci/install-packages" if os.geteuid() == 0 else "sudo .ci/install-packages"
    tests = "1 test was" if len(wanting) == 1 else f"{len(wanting)} tests were"
    return f"{tests} skipped without Debian's {', '.join(missing)}; to run all: {command}"


def with_earlier_parts(reasons: Sequence[str]) -> list[str]:
    """Reasons of this part of the tests and of those that ran before it, where `make test` runs several.

    They are kept, a JSON string a line, in the file that SLM_SKIP_REASONS names.
    """
    kept = os.environ.get("SLM_SKIP_REASONS")
    if not kept:
        return list(reasons)
    with Path(kept).open("a") as file:
        file.writelines(json.dumps(reason) + "\n" for reason in reasons)
    return [json.loads(line) for line in Path(kept).read_text().splitlines()]


def not_installed() -> set[str]:
    """Listed packages that dpkg does not know as installed; none on other systems."""
    if not shutil.which("dpkg-query"):
        return set()
    query = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *listed_packages()]
    # It fails when one is unknown, and tells of the others.
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    installed = {line.split()[0] for line in done.stdout.splitlines() if line.endswith(" installed")}
    return set(listed_packages()) - installed


def _named(package: str, reasons: Sequence[str]) -> bool:
    word = re.compile(rf"(?<![\w+-]){re.escape(package)}(?![\w+-])")
    return any(word.search(_NEED.split(reason, maxsplit=1)[1]) for reason in reasons)
