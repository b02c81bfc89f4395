"""Writes what Python's unicodedata knows: python3 write_unicode_tables.py > unicode_tables.inc."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterable

CATEGORIES = (
    "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn"
).split()

SURROGATES = range(0xD800, 0xE000)
HANGUL = range(0xAC00, 0xD7A4)


def characters() -> Iterable[str]:
    """All code points but surrogates, one by one."""
    return (chr(code) for code in range(sys.maxunicode + 1) if code not in SURROGATES)


def runs(value_of: Callable[[str], int]) -> list[tuple[int, int]]:
    """(first code point, value) wherever the value changes."""
    found: list[tuple[int, int]] = []
    for code in range(sys.maxunicode + 1):
        value = value_of(chr(code))
        if not found or found[-1][1] != value:
            found.append((code, value))
    return found


def table(kind: str, name: str, entries: Iterable[tuple[int, ...]]) -> None:
    """Print an array of structures."""
    print(f"constexpr {kind} {name}[] = {{")
    line = ""
    for entry in entries:
        text = "{" + ", ".join(f"{one:#x}" for one in entry) + "}, "
        if len(line + text) > 108:
            print(f"    {line.rstrip()}")
            line = ""
        line += text
    print(f"    {line.rstrip()}\n}};\n")


def mappings(name: str, changed: dict[str, str]) -> None:
    """What single code points become: an index into one text of all."""
    text: list[int] = []
    entries = []
    for character, becomes in sorted(changed.items()):
        entries.append((ord(character), len(text), len(becomes)))
        text += map(ord, becomes)
    table("Mapping", f"k{name}", entries)
    print(f"constexpr char32_t k{name}Text[] = {{")
    for start in range(0, len(text), 12):
        print("    " + " ".join(f"{one:#x}," for one in text[start : start + 12]))
    print("};\n")


def changed(change: Callable[[str], str]) -> dict[str, str]:
    """What a change makes of each character that it changes, Hangul apart."""
    return {
        one: becomes for one in characters() if ord(one) not in HANGUL and (becomes := change(one)) != one
    }


def pairs() -> Iterable[tuple[int, int, int]]:
    """(first, second, composed) of all that canonical composition puts together, Hangul apart."""
    found = []
    for one in characters():
        parts = unicodedata.decomposition(one).split()
        if len(parts) == 2 and not parts[0].startswith("<") and unicodedata.normalize("NFC", one) == one:
            found.append((int(parts[0], 16), int(parts[1], 16), ord(one)))
    return sorted(found)


def main() -> None:
    """Print all tables."""
    print(f"// Written by write_unicode_tables.py from Unicode {unicodedata.unidata_version}; do not edit.\n")
    table("Run", "kCategories", runs(lambda one: CATEGORIES.index(unicodedata.category(one))))
    table("Run", "kCombiningClasses", runs(unicodedata.combining))
    mappings("Canonical", changed(lambda one: unicodedata.normalize("NFD", one)))
    canonical = changed(lambda one: unicodedata.normalize("NFD", one))
    compatible = changed(lambda one: unicodedata.normalize("NFKD", one))
    mappings("Compatible", {one: to for one, to in compatible.items() if canonical.get(one) != to})
    table("Pair", "kPairs", pairs())
    mappings("Lower", changed(str.lower))


if __name__ == "__main__":
    main()
