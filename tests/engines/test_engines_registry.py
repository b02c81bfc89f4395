"""Entries that other packages bring."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.errors import UsageError
from toolkit.registry import Registry


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[str]:
    """Has entries of its own; a package brings a good one, two broken ones and one of a taken name."""
    (tmp_path / "brought.py").write_text("THING = 'brought'\n")
    info = tmp_path / "their_things-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-things\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[slm.tested_things]\n"
        "brought = brought:THING\n"
        "gone = brought.gone:THING\n"
        "renamed = brought:THINGS\n"
        "taken = brought:THING\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    things: Registry[str] = Registry("thing", UsageError, entry_points="slm.tested_things")
    things.register("own", "os:sep")
    things.register("taken", "os:sep")
    return things


def test_a_package_adds_entries_behind_our_own(registry: Registry[str]) -> None:
    assert list(registry) == ["own", "taken", "brought", "gone", "renamed"]
    assert registry.get("brought") == "brought"
    assert registry.get("own") == "/"


@pytest.mark.parametrize(
    ("name", "what"),
    [("gone", "cannot be imported"), ("renamed", "no attribute"), ("taken", "is there already")],
)
def test_who_asks_for_a_broken_entry_learns_which_package_to_mend(
    registry: Registry[str], name: str, what: str
) -> None:
    with pytest.raises(UsageError, match=what) as caught:
        registry.get(name)
    assert "package their-things" in str(caught.value)
    assert "pip uninstall their-things" in str(caught.value)


def test_an_unknown_name_lists_what_packages_brought(registry: Registry[str]) -> None:
    with pytest.raises(UsageError, match="'brought'.*Available: own, taken, brought"):
        registry.get("brouhgt")
