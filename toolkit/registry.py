"""A generic registry with lazily imported entries and did-you-mean errors."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

from toolkit.errors import ToolkitError

T = TypeVar("T")
E = TypeVar("E", bound=ToolkitError)


def unknown_name(kind: str, name: str, known: Iterable[str], error: type[E]) -> E:
    """The error about a name that nothing is registered under, with a near match and all names."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return error(f"Unknown {kind} {name!r}.", next_step=f"{hint}Available: {', '.join(names)}")


class Registry(Generic[T]):
    """Names mapped to objects, or to ``"module:attribute"`` strings resolved on first use.

    Args:
        kind: what the entries are, for messages: "scheme", "algorithm", "engine".
        error: raised for an unknown name.
    """

    def __init__(self, kind: str, error: type[ToolkitError]) -> None:
        self._kind = kind
        self._error = error
        self._entries: dict[str, T | str] = {}

    def register(self, name: str, entry: T | str) -> None:
        """Add an entry; registering a name twice is a programming error."""
        if name in self._entries:
            raise ValueError(f"{self._kind} {name!r} is already registered")
        self._entries[name] = entry

    def get(self, name: str) -> T:
        """Return the entry.

        Raises:
            ToolkitError: of the registry's error class, with near matches and all names.
        """
        if name not in self._entries:
            raise unknown_name(self._kind, name, self._entries, self._error)
        entry: Any = self._entries[name]
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            entry = getattr(importlib.import_module(module), attribute)
            self._entries[name] = entry
        resolved: T = entry
        return resolved

    def __iter__(self) -> Iterator[str]:
        """Names in the order of registration."""
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        """Whether a name is registered."""
        return name in self._entries
