"""A generic registry with lazily imported entries and did-you-mean errors."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from toolkit.errors import ToolkitError

T = TypeVar("T")
E = TypeVar("E", bound=ToolkitError)


def unknown_name(kind: str, name: str, known: Iterable[str], error: type[E]) -> E:
    """The error about a name that nothing is registered under, with a near match and all names."""
    names = list(known)
    return error(
        f"Unknown {kind} {name!r}.",
        next_step=f"{did_you_mean(name, names)}Available: {', '.join(names)}",
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question with the nearest name, letters' case left aside; empty when none is near."""
    folded = {one.casefold(): one for one in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    return f"Did you mean {folded[near[0]]!r}? " if near else ""


def resolve(reference: str) -> Any:
    """The object that ``"module:attribute"`` names; its module is imported now."""
    module, _, attribute = reference.partition(":")
    return getattr(importlib.import_module(module), attribute)


class Registry(Generic[T]):
    """Names mapped to objects, or to ``"module:attribute"`` strings resolved on first use.

    Args:
        kind: what the entries are, for messages: "scheme", "algorithm", "engine".
        error: raised for an unknown name.
        entry_points: group of entry points through which other packages add entries; they are looked for on
            first use, and imported when they are asked for.
        complaint: what is wrong with an entry that a package brings under a name; None when nothing is.
    """

    def __init__(
        self,
        kind: str,
        error: type[ToolkitError],
        *,
        entry_points: str | None = None,
        complaint: Callable[[str, object], str | None] | None = None,
    ) -> None:
        self._kind = kind
        self._error = error
        self._own: dict[str, T | str] = {}
        self._group = entry_points
        self._complaint = complaint
        # The packages that brought entries, and those that bring a name that is taken.
        self._packages: dict[str, str] = {}
        self._clashes: dict[str, str] = {}

    def register(self, name: str, entry: T | str) -> None:
        """Add an entry; registering a name twice is a programming error."""
        if name in self._own:
            raise ValueError(f"{self._kind} {name!r} is already registered")
        self._own[name] = entry

    def unregister(self, name: str) -> None:
        """Take an entry back; KeyError when there is none."""
        del self._entries[name]

    def values(self) -> Iterator[T]:
        """Entries in the order of registration, imported now."""
        return (self.get(name) for name in self)

    def get(self, name: str) -> T:
        """Return the entry.

        Raises:
            ToolkitError: of the registry's error class, with near matches and all names; or about a package
                whose entry cannot be imported, or has a name that is taken.
        """
        if name not in self._entries:
            raise unknown_name(self._kind, name, self._entries, self._error)
        if name in self._clashes:
            raise self._about_package(self._clashes[name], f"{self._kind} {name!r} is there already")
        entry: Any = self._entries[name]
        if isinstance(entry, str):
            entry = self._resolve(name, entry)
            self._own[name] = entry
        resolved: T = entry
        return resolved

    def _resolve(self, name: str, reference: str) -> Any:
        package = self._packages.get(name)
        if package is None:
            return resolve(reference)
        try:
            entry = resolve(reference)
        except (ImportError, AttributeError) as error:
            what = f"{self._kind} {name!r} cannot be imported from {reference}: {error}"
            raise self._about_package(package, what) from error
        wrong = self._complaint(name, entry) if self._complaint is not None else None
        if wrong is not None:
            raise self._about_package(package, f"{self._kind} {name!r} {wrong}")
        return entry

    def _about_package(self, package: str, what: str) -> ToolkitError:
        return self._error(
            what,
            subject=f"package {package}",
            next_step=f"Install another version of it, or uninstall it: pip uninstall {package}",
        )

    @property
    def _entries(self) -> dict[str, T | str]:
        """Entries of ours and, from the first look on, those that other packages bring."""
        if self._group is not None:
            found, self._group = importlib.metadata.entry_points(group=self._group), None
            for point in found:
                package = point.dist.name if point.dist else "?"
                if point.name in self._own:
                    # Told to whoever asks for the name; the others have nothing to do with it.
                    self._clashes[point.name] = package
                    continue
                self._own[point.name], self._packages[point.name] = point.value, package
        return self._own

    def __iter__(self) -> Iterator[str]:
        """Names in the order of registration."""
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        """Whether a name is registered."""
        return name in self._entries
