"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.files import (
    expanded,
    put_in_place,
    remove_leftovers,
    remove_leftovers_of_the_dead,
    scratch_beside,
    staged_folder,
    whole_file,
    write_whole,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_keeps_its_old_content_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_whole(target, "old")
    with whole_file(target) as partial:
        partial.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_raises_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), whole_file(tmp_path / "file") as partial:
        partial.write_text("half")
        raise error
    with pytest.raises(error), staged_folder(tmp_path / "folder") as folder:
        (folder / "file").write_text("half")
        raise error
    assert names(tmp_path) == []


def test_text_is_utf8_whatever_the_locale_says(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; from toolkit import files; files.write_whole(pathlib.Path(sys.argv[1]), 'ü€')"
    )
    subprocess.run(
        [sys.executable, "-c", code, tmp_path / "file"], env={**os.environ, "LC_ALL": "C"}, check=True
    )
    assert (tmp_path / "file").read_bytes() == b"\xc3\xbc\xe2\x82\xac"


def test_a_missing_folder_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "absent" / "file", "x")


def test_what_is_staged_gets_the_rights_that_any_file_has(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with staged_folder(tmp_path / "a" / "folder") as folder:
        put_in_place(folder, tmp_path / "a" / "folder")
    write_whole(tmp_path / "file", "x")
    (tmp_path / "plain-file").write_text("x")
    modes = [
        stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "a/folder", "plain-file", "file")
    ]
    assert modes[0] == modes[1] and modes[2] == modes[3]


def test_a_folder_replaces_the_one_that_is_there(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()
    with staged_folder(target) as folder:
        (folder / "new").touch()
        assert names(target) == ["old"]
        assert put_in_place(folder, target) == target
    assert names(target) == ["new"]
    assert names(tmp_path) == ["folder"]


def test_scratch_is_on_the_file_system_of_its_target(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file"
    with scratch_beside(target) as scratch:
        assert scratch.parent == target.parent
        (scratch / "made").write_text("x")
        put_in_place(scratch / "made", target)
    assert names(target.parent) == ["file"]


_DIES = """
import os, sys
from pathlib import Path
from toolkit.files import staged_folder, whole_file
target = Path(sys.argv[1])
with staged_folder(target) as folder, whole_file(target.with_name("other")) as partial:
    (folder / "half").touch()
    partial.touch()
    os._exit(9)
"""


def test_leftovers_of_a_killed_process_go_and_nothing_else(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", _DIES, tmp_path / "mine"]).returncode == 9
    assert len(names(tmp_path)) == 2
    (tmp_path / "mine").mkdir()
    remove_leftovers(tmp_path / "mine")
    assert [name.split(".partial-")[0] for name in names(tmp_path)] == [".other", "mine"]
    remove_leftovers(tmp_path / "other")
    assert names(tmp_path) == ["mine"]


def test_leftovers_of_dead_processes_are_removed_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from toolkit import files\n"
        "with files.staged_folder(pathlib.Path(sys.argv[1])) as folder:\n"
        "    (folder / 'half').write_text('x'); os._exit(9)"
    )
    for name in ("a", "b.c"):
        subprocess.run([sys.executable, "-c", code, tmp_path / name], check=False)
    left = names(tmp_path)
    assert [name.partition(".partial-")[0] for name in left] == [".a", ".b.c"]
    pid, host, _ = left[0].partition(".partial-")[2].split("-")
    kept = [
        # Of a living process, of another machine that shares the folder, and somebody else's.
        f".a.partial-1-{host}-x",
        f".a.partial-{pid}-00000000-x",
        ".b.partial-x",
    ]
    for name in kept:
        (tmp_path / name).mkdir()
    with staged_folder(tmp_path / "a") as folder:
        remove_leftovers_of_the_dead(tmp_path / "a")
        assert folder.is_dir()
        assert names(tmp_path) == sorted([folder.parent.name, *kept])


def test_a_home_that_nobody_has_is_a_name_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/models/a") == Path("/home/me/models/a")
    assert expanded("models/~a") == Path("models/~a")
    for odd in ("~nobody-has-this-name/a", "~[name]", "~a\0b"):
        assert expanded(odd) == Path(odd)
