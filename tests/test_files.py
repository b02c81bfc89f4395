"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import ast
import contextlib
import errno
import os
import pty
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import toolkit
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


@contextlib.contextmanager
def stream(kind: str, folder: Path) -> Iterator[tuple[Path, int]]:
    """What exists and is no regular file, or is one that is open, and where its content comes out."""
    if kind == "terminal":
        reader, writer = pty.openpty()
        name = Path(os.ttyname(writer))
    elif kind == "named pipe":
        name = folder / "pipe"
        os.mkfifo(name)
        # Waits for no reader, so that the test needs no thread.
        reader = writer = os.open(name, os.O_RDWR)
    elif kind == "process substitution":
        reader, writer = os.pipe()
        name = Path(f"/dev/fd/{writer}")
    else:
        file = folder / "log"
        file.write_text("first\n")
        reader, writer = os.open(file, os.O_RDONLY), os.open(file, os.O_WRONLY | os.O_APPEND)
        os.lseek(reader, 0, os.SEEK_END)
        name = Path(f"/dev/fd/{writer}")
    try:
        yield name, reader
    finally:
        for descriptor in {reader, writer}:
            os.close(descriptor)


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("kind", ["terminal", "named pipe", "process substitution", "open file"])
def test_what_is_no_regular_file_is_written_into(tmp_path: Path, kind: str, linked: bool) -> None:
    with stream(kind, tmp_path) as (name, reader):
        target = name
        if linked:
            target = tmp_path / "link"
            target.symlink_to(name)
        before, there = target.stat(), names(tmp_path)
        with pytest.raises(ValueError), whole_file(target) as partial:
            partial.write_text("half")
            raise ValueError
        write_whole(target, "whole")
        assert os.read(reader, 100) == b"whole"
        after = target.stat()
        assert [(one.st_mode, one.st_dev, one.st_ino) for one in (before, after)] == [
            (before.st_mode, before.st_dev, before.st_ino)
        ] * 2
        assert names(tmp_path) == there
    if kind == "open file":
        assert (tmp_path / "log").read_text() == "first\nwhole"


@pytest.mark.parametrize("linked", [False, True])
def test_what_follows_on_stdout_stands_behind_what_was_written_into_it(tmp_path: Path, linked: bool) -> None:
    file = tmp_path / "log"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    try:
        name = Path(f"/dev/fd/{descriptor}")
        if linked:
            (tmp_path / "link").symlink_to(name)
            name = tmp_path / "link"
        os.write(descriptor, b"first ")
        write_whole(name, "whole ")
        os.write(descriptor, b"last")
    finally:
        os.close(descriptor)
    assert file.read_text() == "first whole last"


def test_more_than_a_pipe_holds_reaches_its_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_whole(tmp_path / "pipe", b"x" * 1_000_001)
    reader.join()
    assert read == [b"x" * 1_000_001]


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize(("minor", "takes"), [(3, True), (7, False)], ids=["null", "full"])
def test_nodes_of_devices_stay_nodes(tmp_path: Path, minor: int, takes: bool, linked: bool) -> None:
    node = target = tmp_path / "node"
    try:
        os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        os.close(os.open(node, os.O_WRONLY))
    except PermissionError:
        pytest.skip("makes no nodes: needs root, and a file system that has nodes")
    if linked:
        target = tmp_path / "link"
        target.symlink_to("node")
    there = names(tmp_path)
    with contextlib.nullcontext() if takes else pytest.raises(OSError) as raised:
        write_whole(target, "x")
    assert takes or raised.value.errno == errno.ENOSPC
    assert stat.S_ISCHR(node.lstat().st_mode) and node.lstat().st_rdev == os.makedev(1, minor)
    assert names(tmp_path) == there


@pytest.mark.parametrize("content", [None, "old"], ids=["leads nowhere yet", "leads to a file"])
@pytest.mark.parametrize("raises", [False, True])
def test_links_stay_and_what_they_lead_to_is_replaced(
    tmp_path: Path, content: str | None, raises: bool
) -> None:
    (tmp_path / "kept").mkdir()
    real = tmp_path / "kept" / "real"
    if content is not None:
        real.write_text(content)
    (tmp_path / "second").symlink_to("kept/real")
    (tmp_path / "first").symlink_to(tmp_path / "second")
    with contextlib.suppress(KeyboardInterrupt), whole_file(tmp_path / "first") as partial:
        partial.write_text("new")
        if raises:
            raise KeyboardInterrupt
    assert [os.readlink(tmp_path / name) for name in ("first", "second")] == [
        str(tmp_path / "second"),
        "kept/real",
    ]
    assert (real.read_text() if real.exists() else None) == (content if raises else "new")
    assert names(tmp_path) == ["first", "kept", "second"]
    assert names(real.parent) == (["real"] if real.exists() else [])


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o755, 0o444])
def test_a_file_that_is_replaced_hands_on_its_mode_and_owner(tmp_path: Path, mode: int) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    if os.geteuid() == 0:
        os.chown(target, 1234, 4321)
    target.chmod(mode)
    before = target.stat()
    with whole_file(target) as partial:
        partial.write_text("new")
        assert stat.S_IMODE(partial.stat().st_mode) & 0o077 & ~mode == 0, "nobody else reads it meanwhile"
    after = target.stat()
    assert target.read_text() == "new"
    assert [(one.st_mode, one.st_uid, one.st_gid) for one in (before, after)] == [
        (stat.S_IFREG | mode, before.st_uid, before.st_gid)
    ] * 2


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_goes_where_a_link_leads(tmp_path: Path, there: bool) -> None:
    real, link = tmp_path / "disk" / "real", tmp_path / "link"
    real.parent.mkdir()
    if there:
        real.mkdir()
        (real / "old").touch()
    link.symlink_to("disk/real")
    with staged_folder(link) as folder:
        (folder / "new").touch()
        assert put_in_place(folder, link) == link
    assert os.readlink(link) == "disk/real"
    assert (names(real), names(real.parent), names(tmp_path)) == (["new"], ["real"], ["disk", "link"])


_DIES_IN_PLACE = """
import os, pathlib, sys
from toolkit import files
target = pathlib.Path(sys.argv[1])
if sys.argv[2] == "before":
    rename = pathlib.Path.rename
    pathlib.Path.rename = lambda self, to: (rename(self, to), os._exit(9))
else:
    files.shutil.rmtree = lambda *given, **named: os._exit(9)
with files.staged_folder(target) as folder:
    (folder / "new").touch()
    files.put_in_place(folder, target)
"""


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("killed", ["before", "behind"])
def test_a_folder_that_made_way_goes_once_the_new_one_is_there(
    tmp_path: Path, killed: str, linked: bool
) -> None:
    real = target = tmp_path / "disk" / "folder"
    real.mkdir(parents=True)
    (real / "old").touch()
    if linked:
        target = tmp_path / "link"
        target.symlink_to(real)
    assert subprocess.run([sys.executable, "-c", _DIES_IN_PLACE, target, killed]).returncode == 9
    remove_leftovers_of_the_dead(target)
    if killed == "behind":
        assert (names(real.parent), names(real)) == (["folder"], ["new"])
    else:
        [only] = real.parent.iterdir()
        assert names(only) == ["old"], "the only one that is left"


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


def test_texts_are_utf_8_in_every_locale() -> None:
    """A file that names no encoding is another file where the locale's is Latin-1, or cannot be written."""
    folder = Path(toolkit.__file__).parent
    silent = [
        f"{path.relative_to(folder)}:{node.lineno}"
        for path in sorted(folder.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("read_text", "write_text")
        and not any(keyword.arg == "encoding" for keyword in node.keywords)
    ]
    # That one is of a package's metadata and takes no encoding.
    assert [place for place in silent if not place.startswith("extras.py:")] == []
