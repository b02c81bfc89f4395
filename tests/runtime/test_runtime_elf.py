"""What would not start on a device is refused here. The libraries are made by the compiler, then broken."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import EngineMismatch
from toolkit.runtime.elf import MACHINES, BadElf, read_elf
from toolkit.runtime.elf_check import check_elf_files
from toolkit.runtime.toolchain import find_toolchain

VERSIONS = "TOY_1.0 { global: toy_new; toy_old; local: *; };\n"
Library = Callable[..., Path]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Compiles C into a shared library that needs nothing but what it is linked with."""
    folder = tmp_path_factory.mktemp("libraries")
    compiler = find_toolchain().compiler

    def compile_library(name: str, source: str, *flags: str, needs: tuple[Path, ...] = ()) -> Path:
        path = folder / name
        path.with_suffix(".c").write_text(source)
        command = [
            *(str(compiler), "-x", "c", "-shared", "-fPIC", "-nostdlib", "-o", str(path)),
            str(path.with_suffix(".c")),
            *("-x", "none", f"-Wl,-soname,{name}", "-Wl,-z,max-page-size=16384", *flags, *map(str, needs)),
        ]
        subprocess.run(command, check=True)
        return path

    return compile_library


@pytest.fixture(scope="module")
def toy(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    script = tmp_path_factory.mktemp("script") / "versions"
    script.write_text(VERSIONS)
    return library(
        "libtoy.so", "int toy_new; int toy_old(void) { return 1; }", f"-Wl,--version-script={script}"
    )


@pytest.fixture(scope="module")
def user(library: Library, toy: Path) -> Path:
    return library(
        "libuser.so",
        "int toy_old(void); __attribute__((weak)) int absent(void);\n"
        "int use(void) { return toy_old() + (absent ? absent() : 0); }",
        needs=(toy,),
    )


def check(*paths: Path, abi: str = "x86_64") -> None:
    check_elf_files({path.name: path for path in paths}, abi, subject="toy 1.0")


def test_what_the_loader_reads_is_read(toy: Path, user: Path) -> None:
    given_away, used = read_elf(toy), read_elf(user)
    assert given_away.machine == MACHINES["x86_64"]
    assert (given_away.soname, given_away.needed) == ("libtoy.so", ())
    assert {("toy_new", "TOY_1.0"), ("toy_old", "TOY_1.0")} <= given_away.defined
    assert given_away.provided_versions == {"TOY_1.0"}
    assert used.needed == ("libtoy.so",)
    assert used.required_versions == {("libtoy.so", "TOY_1.0")}
    assert used.undefined == {("toy_old", "TOY_1.0")}
    assert all(alignment == 16384 for alignment in used.load_alignments)


def test_both_kinds_of_hash_table_give_the_same_symbols(library: Library) -> None:
    source = "int a; int b(void) { return a; }"
    plain = read_elf(library("libplain.so", source, "-Wl,--hash-style=sysv"))
    gnu = read_elf(library("libgnu.so", source, "-Wl,--hash-style=gnu"))
    assert plain.defined == gnu.defined == {("a", None), ("b", None)}


def test_a_whole_set_passes(toy: Path, user: Path) -> None:
    check(toy, user)


def test_a_missing_library_is_named(user: Path) -> None:
    with pytest.raises(EngineMismatch, match=r"libuser\.so: needs libtoy\.so, which is missing"):
        check(user)


def test_a_missing_version_and_symbol_are_named(library: Library, user: Path, tmp_path: Path) -> None:
    script = tmp_path / "versions"
    script.write_text("TOY_2.0 { global: *; };\n")
    other = library("libtoy2.so", "int toy_new;", f"-Wl,--version-script={script}")
    replaced = tmp_path / "libtoy.so"
    other.rename(replaced)
    with pytest.raises(EngineMismatch) as refused:
        check(replaced, user)
    assert "needs TOY_1.0 of libtoy.so, which has no such version" in str(refused.value)
    assert "symbol toy_old@TOY_1.0 is defined nowhere" in str(refused.value)


def test_pages_of_16_kb_are_asked_for_on_arm64_only(library: Library, tmp_path: Path) -> None:
    small = library("libsmall.so", "int a;", "-Wl,-z,max-page-size=4096")
    check(small)
    arm = tmp_path / "libsmall.so"
    arm.write_bytes(_with_machine(small.read_bytes(), MACHINES["arm64-v8a"]))
    with pytest.raises(EngineMismatch, match="aligned to 4096 bytes, 16384 are needed"):
        check(arm, abi="arm64-v8a")


def test_another_processors_files_are_refused(toy: Path) -> None:
    with pytest.raises(EngineMismatch, match=r"libtoy\.so: made for another processor \(e_machine 62"):
        check(toy, abi="arm64-v8a")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a 64-bit"),
        (b"#!/bin/sh\n" * 20, "not a 64-bit"),
        (b"\x7fELF\x01\x01" + bytes(100), "not a 64-bit"),
        (b"\x7fELF\x02\x01" + bytes(100), "neither a program nor a library"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "libx.so"
    path.write_bytes(content)
    with pytest.raises(EngineMismatch, match=said):
        check(path)


def test_a_library_that_was_cut_short_is_refused(toy: Path, tmp_path: Path) -> None:
    cut = tmp_path / "libtoy.so"
    cut.write_bytes(toy.read_bytes()[: _end_of_segments(toy.read_bytes()) - 1])
    with pytest.raises(EngineMismatch, match="cut short"):
        check(cut)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damage_is_bad_elf_and_nothing_else(
    user: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(user.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        # Headers and tables are at the beginning.
        content[data.draw(st.integers(0, min(len(content), 2048) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.so"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        read_elf(path)
    except BadElf as error:
        assert str(error)


def _with_machine(content: bytes, machine: int) -> bytes:
    return content[:18] + struct.pack("<H", machine) + content[20:]


def _end_of_segments(content: bytes) -> int:
    (table,) = struct.unpack_from("<Q", content, 32)
    (entries,) = struct.unpack_from("<H", content, 56)
    ends: list[int] = []
    for number in range(entries):
        kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", content, table + 56 * number)
        if kind == 1:
            ends.append(offset + size)
    return max(ends)
