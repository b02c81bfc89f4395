"""The tree of errors that a reader sees is the one that there is."""

from __future__ import annotations

import re

from toolkit import errors
from toolkit.errors import ToolkitError, first_line


def test_the_tree_has_every_error_below_its_base_with_its_exit_code() -> None:
    rows = re.findall(
        r"^    ([| ]*)(?:\+-- )?(\w+)(?: +(\d+))?(?:  .*)?$", errors.__doc__ or "", re.MULTILINE
    )
    told: dict[str, tuple[str, int]] = {}
    path: list[str] = []
    for bars, name, code in rows:
        kind = getattr(errors, name)
        depth = 0 if name == ToolkitError.__name__ else 1 + len(bars) // 4
        path[depth:] = [name]
        if depth:
            told[name] = (path[depth - 1], int(code) if code else told[path[depth - 1]][1])
        assert kind.exit_code == (int(code) if code else told[name][1]), name
    real = {
        name: (one.__bases__[0].__name__, one.exit_code)
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, ToolkitError) and one is not ToolkitError
    }
    assert told == real


def test_what_other_code_says_is_told_in_one_line() -> None:
    assert first_line(ValueError("\n no such row\n  at 3")) == "no such row"
    # As sockets and httpx raise them.
    assert first_line(TimeoutError()) == first_line(TimeoutError("\n")) == "TimeoutError"
    assert len(first_line(ValueError("x" * 10_000))) == 1000
