"""What the dynamic loader reads in an ELF file, taken from its bytes (System V ABI, 64 bits, little-endian).

Only the program headers and what the dynamic segment points to are read, as the loader does: section headers
may have been stripped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MACHINES = {"x86_64": 62, "arm64-v8a": 183}

_MAGIC_64_BITS_LITTLE_ENDIAN = b"\x7fELF\x02\x01"
_EXECUTABLE, _SHARED_OBJECT = 2, 3
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_NEEDED, _DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ = 0, 1, 4, 5, 6, 10
_DT_SONAME, _DT_GNU_HASH, _DT_VERSYM = 14, 0x6FFFFEF5, 0x6FFFFFF0
_DT_VERDEF, _DT_VERDEFNUM, _DT_VERNEED, _DT_VERNEEDNUM = 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
_SYMBOL = struct.Struct("<IBBHQQ")
_STB_LOCAL, _STB_WEAK = 0, 2
_HIDDEN_VERSION = 0x8000

Symbol = tuple[str, str | None]


class BadElf(Exception):
    """Not an ELF file that this module reads, or a damaged one; the message says what is wrong."""


@dataclass(frozen=True)
class ElfFile:
    """One program or library.

    Attributes:
        machine: e_machine; see MACHINES.
        load_alignments: p_align of each PT_LOAD segment, in bytes.
        misplaced_segments: whether a segment's address and offset differ modulo its alignment.
        soname: what other files need it as; None for programs.
        needed: libraries it needs, by soname.
        required_versions: (library, symbol version) pairs without which the loader refuses it.
        provided_versions: symbol versions that it defines.
        undefined: symbols it must be given, with their versions; weak ones are left out.
        defined: symbols it gives, with their versions.
    """

    machine: int
    load_alignments: tuple[int, ...]
    misplaced_segments: bool
    soname: str | None
    needed: tuple[str, ...]
    required_versions: frozenset[tuple[str, str]]
    provided_versions: frozenset[str]
    undefined: frozenset[Symbol]
    defined: frozenset[Symbol]


@dataclass(frozen=True)
class _Segment:
    kind: int
    offset: int
    address: int
    file_bytes: int
    alignment: int


def is_elf(path: Path) -> bool:
    """Whether a file begins like an ELF file."""
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def read_elf(path: Path) -> ElfFile:
    """Read a program or library.

    Raises:
        BadElf: another kind of file, or one that is cut short or points outside itself.
    """
    data = path.read_bytes()
    if len(data) < 64 or data[:6] != _MAGIC_64_BITS_LITTLE_ENDIAN:
        raise BadElf("not a 64-bit little-endian ELF file")
    try:
        kind, machine = struct.unpack_from("<HH", data, 16)
        if kind not in (_EXECUTABLE, _SHARED_OBJECT):
            raise BadElf(f"neither a program nor a library (e_type {kind})")
        return _Reader(data, machine).read()
    except (struct.error, OverflowError, UnicodeDecodeError) as error:
        raise BadElf(f"damaged: {error}") from None


class _Reader:
    def __init__(self, data: bytes, machine: int) -> None:
        self._data = data
        self._machine = machine
        self._segments = list(self._read_segments())
        self._dynamic = self._read_dynamic()

    def read(self) -> ElfFile:
        loads = [segment for segment in self._segments if segment.kind == _PT_LOAD]
        names, required, provided = self._read_versions()
        undefined, defined = self._read_symbols(names)
        soname = self._dynamic.get(_DT_SONAME)
        return ElfFile(
            machine=self._machine,
            load_alignments=tuple(segment.alignment for segment in loads),
            misplaced_segments=any(
                s.alignment > 1 and (s.address - s.offset) % s.alignment != 0 for s in loads
            ),
            soname=self._string(soname[0]) if soname else None,
            needed=tuple(self._string(offset) for offset in self._dynamic.get(_DT_NEEDED, ())),
            required_versions=frozenset(required),
            provided_versions=frozenset(provided),
            undefined=frozenset(undefined),
            defined=frozenset(defined),
        )

    def _read_segments(self) -> Iterator[_Segment]:
        (table,) = struct.unpack_from("<Q", self._data, 32)
        entry_bytes, entries = struct.unpack_from("<HH", self._data, 54)
        for number in range(entries):
            at = table + number * entry_bytes
            kind, _, offset, address, _, file_bytes, _, alignment = struct.unpack_from(
                "<IIQQQQQQ", self._data, at
            )
            if kind == _PT_LOAD and offset + file_bytes > len(self._data):
                raise BadElf("cut short: a segment reaches past the end of the file")
            yield _Segment(kind, offset, address, file_bytes, alignment)

    def _read_dynamic(self) -> dict[int, list[int]]:
        entries: dict[int, list[int]] = {}
        for segment in self._segments:
            if segment.kind == _PT_DYNAMIC:
                for at in range(segment.offset, segment.offset + segment.file_bytes, 16):
                    tag, value = struct.unpack_from("<qQ", self._data, at)
                    if tag == _DT_NULL:
                        break
                    entries.setdefault(tag, []).append(value)
        return entries

    def _offset(self, address: int) -> int:
        """File offset of an address."""
        for segment in self._segments:
            if segment.kind == _PT_LOAD and 0 <= address - segment.address < segment.file_bytes:
                return address - segment.address + segment.offset
        raise BadElf(f"damaged: address {address:#x} is in no segment")

    def _table(self, tag: int) -> int | None:
        """File offset of what a dynamic entry points to; None without that entry."""
        addresses = self._dynamic.get(tag)
        return self._offset(addresses[0]) if addresses else None

    def _string(self, offset: int) -> str:
        table = self._table(_DT_STRTAB)
        if table is None or offset >= self._dynamic.get(_DT_STRSZ, [0])[0]:
            raise BadElf(f"damaged: no string at {offset}")
        end = self._data.find(b"\0", table + offset)
        if end < 0:
            raise BadElf("damaged: a string does not end")
        return self._data[table + offset : end].decode()

    def _records(self, tag: int, count_tag: int, next_offset: int) -> Iterator[int]:
        """Offsets of a version table's records, each of which says how far it is to the next."""
        at = self._table(tag)
        for _ in range(self._dynamic.get(count_tag, [0])[0] if at is not None else 0):
            assert at is not None
            yield at
            (step,) = struct.unpack_from("<I", self._data, at + next_offset)
            if step == 0:
                return
            at += step

    def _read_versions(self) -> tuple[dict[int, str], set[tuple[str, str]], set[str]]:
        """Version index -> name; (library, version) pairs required; versions provided."""
        names: dict[int, str] = {}
        required: set[tuple[str, str]] = set()
        provided: set[str] = set()
        for at in self._records(_DT_VERNEED, _DT_VERNEEDNUM, 12):
            _, count, library, auxiliary = struct.unpack_from("<HHII", self._data, at)
            entry = at + auxiliary
            for _ in range(count):
                _, _, index, name, next_entry = struct.unpack_from("<IHHII", self._data, entry)
                names[index & ~_HIDDEN_VERSION] = self._string(name)
                required.add((self._string(library), self._string(name)))
                entry += next_entry
        for number, at in enumerate(self._records(_DT_VERDEF, _DT_VERDEFNUM, 16)):
            _, _, index, _, _, auxiliary = struct.unpack_from("<HHHHII", self._data, at)
            (name,) = struct.unpack_from("<I", self._data, at + auxiliary)
            names[index & ~_HIDDEN_VERSION] = self._string(name)
            # The first one names the file itself.
            if number > 0:
                provided.add(self._string(name))
        return names, required, provided

    def _read_symbols(self, versions: dict[int, str]) -> tuple[set[Symbol], set[Symbol]]:
        undefined: set[Symbol] = set()
        defined: set[Symbol] = set()
        table, version_table = self._table(_DT_SYMTAB), self._table(_DT_VERSYM)
        if table is None:
            return undefined, defined
        # Number 0 is the empty symbol.
        for number in range(1, self._symbol_count(table)):
            name, info, _, section, _, _ = _SYMBOL.unpack_from(self._data, table + number * _SYMBOL.size)
            binding = info >> 4
            if binding == _STB_LOCAL or name == 0:
                continue
            version = None
            if version_table is not None:
                (index,) = struct.unpack_from("<H", self._data, version_table + 2 * number)
                version = versions.get(index & ~_HIDDEN_VERSION)
            if section != 0:
                defined.add((self._string(name), version))
            elif binding != _STB_WEAK:
                undefined.add((self._string(name), version))
        return undefined, defined

    def _symbol_count(self, symbols: int) -> int:
        """The dynamic segment does not say how many symbols there are; the hash tables do."""
        plain, gnu = self._table(_DT_HASH), self._table(_DT_GNU_HASH)
        if plain is not None:
            (count,) = struct.unpack_from("<I", self._data, plain + 4)
            return int(count)
        if gnu is not None:
            return self._gnu_symbol_count(gnu)
        strings = self._table(_DT_STRTAB)
        return (strings - symbols) // _SYMBOL.size if strings is not None and strings > symbols else 0

    def _gnu_symbol_count(self, table: int) -> int:
        buckets, first, bloom_words, _ = struct.unpack_from("<IIII", self._data, table)
        starts = table + 16 + 8 * bloom_words
        last = max(struct.unpack_from(f"<{buckets}I", self._data, starts), default=0)
        if last < first:
            # It hashes nothing: only undefined symbols, which come before the hashed ones.
            return int(first)
        chain = starts + 4 * buckets
        while not struct.unpack_from("<I", self._data, chain + 4 * (last - first))[0] & 1:
            last += 1
        return int(last) + 1
