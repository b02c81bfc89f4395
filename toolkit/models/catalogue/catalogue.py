"""Reading the catalogue: a JSON file per family, validated."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from toolkit.errors import CatalogueInvalid, UnknownModel
from toolkit.models.catalogue.entry import Entry
from toolkit.registry import did_you_mean

SCHEMA = "slm-models/1"


class Family(BaseModel):
    """One file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_name: str = Field(alias="schema")
    models: tuple[Entry, ...]


class Catalogue(Mapping[str, Entry]):
    """Entries by name; letters' case does not matter when one is looked up."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = dict(entries)
        self._by_folded = {name.casefold(): name for name in self._entries}
        self._by_hub_id = {entry.hub_id.casefold(): entry for entry in self._entries.values() if entry.hub_id}

    def __getitem__(self, name: str) -> Entry:
        """An entry.

        Raises:
            UnknownModel: none of this name; the message has a near one.
        """
        found = self._by_folded.get(name.casefold())
        if found is None:
            raise UnknownModel(
                f"Unknown model {name!r}.",
                next_step=f"{did_you_mean(name, self._entries)}`slm models list --all` shows every name.",
            )
        return self._entries[found]

    def __contains__(self, name: object) -> bool:
        """Whether there is an entry of this name."""
        return isinstance(name, str) and name.casefold() in self._by_folded

    def __iter__(self) -> Iterator[str]:
        """Names, families together."""
        return iter(self._entries)

    def __len__(self) -> int:
        """How many entries."""
        return len(self._entries)

    def find(self, model: str) -> Entry | None:
        """The entry of a model as commands and artifacts name it: NAME, random:NAME or the id on the hub."""
        name = model.removeprefix("random:")
        return self[name] if name in self else self._by_hub_id.get(model.casefold())

    def buildable(self) -> list[str]:
        """Names of the entries that have a config."""
        return [name for name, entry in self._entries.items() if entry.config is not None]


@cache
def shipped() -> Catalogue:
    """The catalogue that comes with the toolkit."""
    folder = resources.files("toolkit.models.catalogue") / "data"
    return Catalogue(_entries(folder))


def catalogue(own: Path | None = None) -> Catalogue:
    """What comes with the toolkit, and the entries of a folder of one's own.

    Args:
        own: a folder with the user's own entries; it need not be there.

    Raises:
        CatalogueInvalid: a file that is not an entry, or a name that is there twice.
    """
    if own is None or not own.is_dir():
        return shipped()
    entries = dict(shipped())
    for name, entry in _entries(own).items():
        if name in shipped():
            raise CatalogueInvalid(
                "the catalogue has a model of this name already",
                subject=name,
                next_step=f"Rename it in {own}, or remove its file.",
            )
        entries[name] = entry
    return Catalogue(entries)


def catalogue_for(name: str, own: Path | None) -> Catalogue:
    """The catalogue to look a name up in: a broken file of one's own stands in the way of no shipped model.

    Raises:
        CatalogueInvalid: see :func:`catalogue`.
    """
    return shipped() if name in shipped() else catalogue(own)


def parse_family(text: str, subject: str) -> Family:
    """One file's content.

    Raises:
        CatalogueInvalid: not JSON, not of the schema, or facts that contradict each other.
    """
    try:
        family = Family.model_validate_json(text)
        if family.schema_name != SCHEMA:
            raise ValueError(f"its schema is {family.schema_name!r}, this toolkit reads {SCHEMA!r}")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise CatalogueInvalid(
            f"{place}: {said}" if place else said,
            subject=subject,
            next_step="Mend the file, or remove it.",
        ) from None
    except ValueError as error:
        raise CatalogueInvalid(
            str(error), subject=subject, next_step="Mend the file, or remove it."
        ) from None
    return family


def family_text(entries: tuple[Entry, ...]) -> str:
    """A file's content; what is not known is left out."""
    content: dict[str, Any] = {"schema": SCHEMA, "models": [_plain(one) for one in entries]}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _plain(entry: Entry) -> dict[str, Any]:
    fields = entry.model_dump(mode="json", exclude_defaults=True)
    if entry.config is not None:
        fields["config"] = dict(entry.config)
    return fields


def _entries(folder: Traversable) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if not file.name.endswith(".json"):
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CatalogueInvalid(
                f"cannot be read: {error}", subject=str(file), next_step="Mend the file, or remove it."
            ) from None
        for entry in parse_family(text, str(file)).models:
            if entry.name in found:
                raise CatalogueInvalid(
                    "is there twice", subject=entry.name, next_step=f"Remove one of them from {file}."
                )
            found[entry.name] = entry
    return found
