"""adb's file transfer service, versions 1 and 2 (AOSP: file_sync_protocol.h, SYNC.TXT)."""

from __future__ import annotations

import errno
import os
import stat
import struct

from toolkit.devices.virtual.transport import Stream

_MAX_DATA_BYTES = 64 << 10
_REQUEST = struct.Struct("<4sI")
_STAT_V1 = struct.Struct("<III")
# error, dev, ino, mode, nlink, uid, gid, size, atime, mtime, ctime
_STAT_V2 = struct.Struct("<IQQIIIIQqqq")
_NO_FLAGS = 0


async def serve_sync(stream: Stream) -> None:
    """Answer requests until the host quits or one of them fails half-way."""
    await stream.accept()
    service = _SyncService(stream)
    while await service.answer_one():
        pass


class _SyncService:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def answer_one(self) -> bool:
        """Answer the next request; False when the stream must end."""
        request, length = _REQUEST.unpack(await self._stream.read(_REQUEST.size))
        path = os.fsdecode(await self._stream.read(length))
        match request:
            case b"STAT":
                await self._stream.write(b"STAT" + _pack_v1(_status(path, follow=False)[1]))
            case b"LST2" | b"STA2":
                await self._stream.write(request + _pack_v2(*_status(path, follow=request == b"STA2")))
            case b"LIST" | b"LIS2":
                await self._stream.write(_listing(path, v2=request == b"LIS2"))
            case b"SEND":
                target, _, mode = path.rpartition(",")
                return await self._receive(target, int(mode), _NO_FLAGS)
            case b"SND2":
                _, mode_v2, flags = struct.unpack("<4sII", await self._stream.read(12))
                return await self._receive(path, mode_v2, flags)
            case b"RECV":
                await self._send(path, _NO_FLAGS)
            case b"RCV2":
                _, flags = _REQUEST.unpack(await self._stream.read(_REQUEST.size))
                await self._send(path, flags)
            case b"QUIT":
                return False
            case _:
                await self._fail(f"unknown request {request!r}")
                return False
        return True

    async def _fail(self, message: str) -> None:
        encoded = message.encode(errors="surrogateescape")
        await self._stream.write(b"FAIL" + struct.pack("<I", len(encoded)) + encoded)

    async def _receive(self, path: str, mode: int, flags: int) -> bool:
        """Take one pushed file. As in adbd, a push that fails leaves no part of the file."""
        incoming = _IncomingFile(path, mode, flags)
        modified_s = None
        try:
            while True:
                kind, length = _REQUEST.unpack(await self._stream.read(_REQUEST.size))
                if kind == b"DONE":
                    modified_s = length
                    break
                if kind != b"DATA" or length > _MAX_DATA_BYTES:
                    await self._fail("invalid data message")
                    return False
                # After an error the rest is read and dropped: the host listens only when it has sent all.
                incoming.write(await self._stream.read(length))
        finally:
            incoming.finish(modified_s)
        if incoming.error:
            await self._fail(incoming.error)
            return False
        await self._stream.write(b"OKAY" + bytes(4))
        return True

    async def _send(self, path: str, flags: int) -> None:
        if flags:
            await self._fail(f"unsupported flags {flags:#x}")
            return
        try:
            with open(path, "rb") as file:
                while data := file.read(_MAX_DATA_BYTES):
                    await self._stream.write(b"DATA" + struct.pack("<I", len(data)) + data)
        except OSError as error:
            await self._fail(f"open failed: {os.strerror(error.errno or errno.EIO)}")
            return
        await self._stream.write(b"DONE" + bytes(4))


class _IncomingFile:
    """A pushed file or symlink while it arrives; ``error`` is the first thing that went wrong."""

    def __init__(self, path: str, mode: int, flags: int) -> None:
        self.error: str | None = f"unsupported flags {flags:#x}" if flags else None
        self._path = path
        self._mode = mode
        self._is_link = stat.S_ISLNK(mode)
        self._link_target = b""
        self._file = None
        if self.error:
            return
        try:
            os.makedirs(os.path.dirname(path) or "/", exist_ok=True)
            if os.path.lexists(path) and not os.path.isdir(path):
                os.unlink(path)
            if not self._is_link:
                self._file = open(path, "wb", buffering=0)
        except OSError as error:
            self._set_error("couldn't create file", error)

    def write(self, data: bytes) -> None:
        if self.error:
            return
        if self._is_link:
            self._link_target += data
            return
        try:
            assert self._file is not None
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self._set_error("write failed", error)

    def finish(self, modified_s: int | None) -> None:
        """Put mode and time on the file, or remove it when it did not arrive whole (no ``modified_s``)."""
        if self._file:
            self._file.close()
            if self.error or modified_s is None:
                os.unlink(self._path)
                return
            permissions = self._mode & 0o777
            # adbd copies the user's bits to group and others.
            os.chmod(self._path, permissions | ((permissions >> 3) & 0o070) | ((permissions >> 6) & 0o007))
            os.utime(self._path, (modified_s, modified_s))
        elif self._is_link and not self.error and modified_s is not None:
            os.symlink(self._link_target.rstrip(b"\0"), os.fsencode(self._path))

    def _set_error(self, what: str, error: OSError) -> None:
        self.error = f"{what}: {os.strerror(error.errno or errno.EIO)}"


def _status(path: str, *, follow: bool) -> tuple[int, os.stat_result | None]:
    try:
        return 0, os.stat(path, follow_symlinks=follow)
    except OSError as error:
        return error.errno or errno.EIO, None


def _pack_v1(found: os.stat_result | None) -> bytes:
    if found is None:
        return bytes(_STAT_V1.size)
    return _STAT_V1.pack(found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime) & 0xFFFFFFFF)


def _pack_v2(error: int, found: os.stat_result | None) -> bytes:
    if found is None:
        return _STAT_V2.pack(error, *[0] * 10)
    return _STAT_V2.pack(
        0, found.st_dev, found.st_ino, found.st_mode, found.st_nlink, found.st_uid, found.st_gid,
        found.st_size, int(found.st_atime), int(found.st_mtime), int(found.st_ctime),
    )  # fmt: skip


def _listing(path: str, *, v2: bool) -> bytes:
    try:
        names = [".", "..", *sorted(os.listdir(path))]
    except OSError:
        names = []
    listing = bytearray()
    for name in names:
        error, found = _status(os.path.join(path, name), follow=False)
        encoded = os.fsencode(name)
        listing += b"DNT2" + _pack_v2(error, found) if v2 else b"DENT" + _pack_v1(found)
        listing += struct.pack("<I", len(encoded)) + encoded
    end = _STAT_V2.size if v2 else _STAT_V1.size
    return bytes(listing) + b"DONE" + bytes(end + 4)
