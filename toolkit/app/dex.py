"""Native methods in a dex file, read from its bytes (Android's Dalvik executable format)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_NATIVE = 0x100
_HEADER_SIZES = 0x38


def native_methods(dex: bytes) -> set[tuple[str, str]]:
    """(class descriptor, method) of all methods that a JNI library must bring.

    Raises:
        ValueError: not a dex file.
    """
    if dex[:4] != b"dex\n":
        raise ValueError("is no dex file")
    table = struct.unpack_from("<14I", dex, _HEADER_SIZES)
    strings_at, types_at, methods_at, (classes, classes_at) = table[1], table[3], table[9], table[10:12]

    def string(index: int) -> str:
        (at,) = struct.unpack_from("<I", dex, strings_at + 4 * index)
        _, at = _uleb(dex, at)
        return dex[at : dex.index(b"\0", at)].decode(errors="replace")

    def type_name(index: int) -> str:
        return string(struct.unpack_from("<I", dex, types_at + 4 * index)[0])

    found = set()
    for number in range(classes):
        (data_at,) = struct.unpack_from("<I", dex, classes_at + 32 * number + 24)
        for method, flags in _methods(dex, data_at) if data_at else ():
            if flags & _NATIVE:
                owner, _, name = struct.unpack_from("<HHI", dex, methods_at + 8 * method)
                found.add((type_name(owner), string(name)))
    return found


def jni_symbol(descriptor: str, method: str) -> str:
    """The symbol that JNI looks for; for names without underscores or letters beyond ASCII."""
    return f"Java_{descriptor[1:-1].replace('/', '_')}_{method}"


def _methods(dex: bytes, at: int) -> Iterator[tuple[int, int]]:
    """(index, access flags) of a class's methods."""
    counts = []
    for _ in range(4):
        count, at = _uleb(dex, at)
        counts.append(count)
    for _ in range(counts[0] + counts[1]):
        _, at = _uleb(dex, at)
        _, at = _uleb(dex, at)
    for count in counts[2:]:
        index = 0
        for _ in range(count):
            step, at = _uleb(dex, at)
            flags, at = _uleb(dex, at)
            _, at = _uleb(dex, at)
            index += step
            yield index, flags


def _uleb(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
