from __future__ import annotations

import pytest
from stored_runs import MANIFEST, stored_run

from toolkit.errors import StoreError, UsageError
from toolkit.store import Store
from toolkit.store.tags import Tag, list_tags, tag_runs, tags_of, untag_runs


@pytest.fixture
def three(store: Store) -> Store:
    for number in range(3):
        store.add_run(stored_run(id=f"run{number}", created_unix_ns=number), MANIFEST)
    return store


def test_runs_are_tagged_once_and_untagged(three: Store) -> None:
    assert tag_runs(three, "v1", ["run0", "run1", "run1"]) == 2
    assert tag_runs(three, "v1", ["run1", "run2"]) == 1
    assert tag_runs(three, "nightly/2026-11", ["run0"]) == 1
    assert list_tags(three) == [Tag("v1", 3, 2), Tag("nightly/2026-11", 1, 0)]
    assert tags_of(three, ["run0", "run2"]) == {"run0": ["nightly/2026-11", "v1"], "run2": ["v1"]}
    assert untag_runs(three, "v1", ["run0"]) == 1
    assert untag_runs(three, "v1") == 2
    assert untag_runs(three, "v1") == 0
    assert [tag.name for tag in list_tags(three)] == ["nightly/2026-11"]


def test_a_tag_for_a_run_that_does_not_exist_tags_none(three: Store) -> None:
    with pytest.raises(StoreError):
        tag_runs(three, "v1", ["run0", "nobody"])
    assert list_tags(three) == []


def test_runs_are_found_by_tag(three: Store) -> None:
    tag_runs(three, "v1", ["run0", "run1"])
    tag_runs(three, "v2", ["run1"])

    def ids(where: str) -> list[str]:
        return [summary.run.id for summary in three.list_runs(where=where)]

    assert ids("tag = 'v1'") == ["run1", "run0"]
    assert ids("tag != 'v2'") == ["run2", "run0"], "none of its tags is v2"
    assert ids("tag in ('v2', 'v3')") == ["run1"]
    assert ids("tag not in ('v2')") == ["run2", "run0"]
    assert ids("tag is null") == ["run2"]
    assert ids("tag is not null and not tag = 'v2'") == ["run0"]
    assert ids("tag contains 'V'") == ["run1", "run0"]


def test_a_result_that_comes_late_keeps_the_tags_of_the_run_given_up(store: Store) -> None:
    store.add_run(stored_run(status="device_lost"), MANIFEST)
    tag_runs(store, "v1", [stored_run().run.id])
    assert store.add_run(stored_run(), MANIFEST)
    assert [tag.runs for tag in list_tags(store)] == [1]


@pytest.mark.parametrize("tag", ["", " v1", "-v", "a" * 65, "a b", "ä"])
def test_what_is_no_tag(store: Store, tag: str) -> None:
    with pytest.raises(UsageError, match="is not a tag"):
        tag_runs(store, tag, [])


def test_more_runs_than_a_statement_takes_values(three: Store) -> None:
    many = [*(f"x{number}" for number in range(70_000)), "run0", "run2", "run0"]
    tag_runs(three, "v1", ["run0", "run2"])
    assert tags_of(three, many) == {"run0": ["v1"], "run2": ["v1"]}
    assert untag_runs(three, "v1", many) == 2
