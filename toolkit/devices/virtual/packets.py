"""adb's transport packets: a 24-byte header and a payload (AOSP: packages/modules/adb/protocol.txt)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

PROTOCOL_VERSION = 0x01000001
"""The first version without payload checksums."""
MAX_PAYLOAD = 1 << 20
HEADER_BYTES = 24
_HEADER = struct.Struct("<6I")


class Command(IntEnum):
    """The four letters as a little-endian number."""

    CNXN = 0x4E584E43
    AUTH = 0x48545541
    OPEN = 0x4E45504F
    OKAY = 0x59414B4F
    WRTE = 0x45545257
    CLSE = 0x45534C43


class AuthType(IntEnum):
    """First argument of AUTH."""

    TOKEN = 1
    SIGNATURE = 2
    PUBLIC_KEY = 3


class BadPacket(Exception):
    """Bytes that are no packet of this protocol."""


@dataclass(frozen=True)
class Header:
    """A packet's header; ``arg0`` and ``arg1`` mean something else for each command."""

    command: Command
    arg0: int
    arg1: int
    length: int


def pack_header(
    command: Command, arg0: int, arg1: int, payload: bytes | memoryview, *, checked: bool
) -> bytes:
    """Build a header; ``checked`` adds the sum of the payload, which hosts want before they are connected."""
    checksum = sum(payload) & 0xFFFFFFFF if checked else 0
    return _HEADER.pack(command, arg0, arg1, len(payload), checksum, command ^ 0xFFFFFFFF)


def unpack_header(data: bytes) -> Header:
    """Read a header.

    Raises:
        BadPacket: unknown command, wrong magic, or a payload longer than MAX_PAYLOAD.
    """
    command, arg0, arg1, length, _, magic = _HEADER.unpack(data)
    if magic != command ^ 0xFFFFFFFF or length > MAX_PAYLOAD or command not in set(Command):
        raise BadPacket(f"not an adb packet: {data.hex()}")
    return Header(Command(command), arg0, arg1, length)
