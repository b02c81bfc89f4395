"""Tags: names given to runs, such as a release, a nightly build or the baseline of a regression check."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from toolkit.errors import UsageError
from toolkit.store import tables
from toolkit.store.store import Store

_RUNS_AT_A_TIME = 500
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+-]{0,63}")


@dataclass(frozen=True)
class Tag:
    """A tag, the number of its runs, and when the newest of them was started."""

    name: str
    runs: int
    newest_unix_ns: int


def check_tag(tag: str) -> str:
    """The tag itself.

    Raises:
        UsageError: not something that can be typed without quotes.
    """
    if not _TAG.fullmatch(tag):
        raise UsageError(
            "is not a tag",
            subject=repr(tag),
            next_step="Use up to 64 letters, digits and . _ : / + - , beginning with a letter or digit.",
        )
    return tag


def tag_runs(store: Store, tag: str, run_ids: Sequence[str]) -> int:
    """Give runs a tag; returns how many did not have it yet.

    Raises:
        UsageError: not a tag.
        StoreError: one of the runs does not exist; none is tagged then.
    """
    check_tag(tag)
    tagged = tables.tags.c
    with store.writing() as connection:
        have = set(connection.scalars(sa.select(tagged.run_id).where(tagged.tag == tag)))
        rows = [{"run_id": run_id, "tag": tag} for run_id in dict.fromkeys(run_ids) if run_id not in have]
        if rows:
            connection.execute(sa.insert(tables.tags), rows)
    return len(rows)


def untag_runs(store: Store, tag: str, run_ids: Sequence[str] | None = None) -> int:
    """Take a tag from runs, or from all that have it; returns how many did."""
    tagged = tables.tags.c
    remove = sa.delete(tables.tags).where(tagged.tag == tag)
    queries = [remove]
    if run_ids is not None:
        queries = [remove.where(tagged.run_id.in_(some)) for some in _parts(run_ids)]
    with store.writing() as connection:
        return sum(connection.execute(query).rowcount for query in queries)


def list_tags(store: Store) -> list[Tag]:
    """All tags, in the order of their newest runs, latest first."""
    runs = tables.runs
    newest = sa.func.max(runs.c.created_unix_ns)
    query = (
        sa.select(tables.tags.c.tag, sa.func.count(), newest)
        .select_from(tables.tags.join(runs))
        .group_by(tables.tags.c.tag)
        .order_by(newest.desc(), tables.tags.c.tag)
    )
    with store.reading() as connection:
        return [Tag(*row) for row in connection.execute(query)]


def tags_of(store: Store, run_ids: Sequence[str]) -> dict[str, list[str]]:
    """The tags of each of these runs, in alphabetical order; runs without any are left out."""
    found: dict[str, list[str]] = {}
    tagged = tables.tags.c
    query = sa.select(tagged.run_id, tagged.tag).order_by(tagged.run_id, tagged.tag)
    with store.reading() as connection:
        for some in _parts(run_ids):
            for run_id, tag in connection.execute(query.where(tagged.run_id.in_(some))):
                found.setdefault(run_id, []).append(tag)
    return found


def _parts(run_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Each once, in parts: databases take so many bound values in one statement and not many more."""
    different = list(dict.fromkeys(run_ids))
    for first in range(0, len(different), _RUNS_AT_A_TIME):
        yield different[first : first + _RUNS_AT_A_TIME]
