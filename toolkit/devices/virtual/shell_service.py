"""adb's shell and exec services: raw, and the v2 protocol that keeps stdout, stderr and exit code apart."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from toolkit.devices.virtual.transport import Stream, StreamClosed

_CHUNK_BYTES = 1 << 16
_PACKET = struct.Struct("<BI")
_ENVIRONMENT = {
    "PATH": "/system/bin:/vendor/bin",
    "HOME": "/",
    "TMPDIR": "/data/local/tmp",
    "ANDROID_ROOT": "/system",
    "ANDROID_DATA": "/data",
}


class PacketId(IntEnum):
    """Shell v2 packet types (AOSP: shell_protocol.h)."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    EXIT = 3
    CLOSE_STDIN = 4


async def serve_shell(
    stream: Stream, command: str, *, v2: bool, environment: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Run one command; an empty one is a shell that reads its commands from stdin. There is no pty.

    Args:
        stream: the opened service.
        command: for the phone's shell.
        v2: whether stdout, stderr and exit code are kept apart.
        environment: variables besides Android's usual ones.
    """
    await stream.accept()
    loop = asyncio.get_running_loop()
    # As create_subprocess_exec does; but we need the transport.
    transport, protocol = await loop.subprocess_exec(
        lambda: asyncio.subprocess.SubprocessStreamProtocol(limit=_CHUNK_BYTES, loop=loop),
        "/system/bin/sh",
        *(("-c", command) if command else ()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE if v2 else asyncio.subprocess.STDOUT,
        # As adbd does: a session of its own, so that its group can be killed.
        start_new_session=True,
        env={**_ENVIRONMENT, **environment},
        cwd="/",
    )
    process = asyncio.subprocess.Process(transport, protocol, loop)
    session = _Session(stream, process, transport, v2)
    feeder = asyncio.create_task(session.feed())
    try:
        await session.relay()
    finally:
        feeder.cancel()
        await asyncio.gather(feeder, return_exceptions=True)


class _Session:
    def __init__(
        self,
        stream: Stream,
        process: asyncio.subprocess.Process,
        transport: asyncio.SubprocessTransport,
        v2: bool,
    ) -> None:
        self._stream = stream
        self._process = process
        self._transport = transport
        self._v2 = v2
        # One packet at a time: stdout and stderr share the stream.
        self._writing = asyncio.Lock()

    async def relay(self) -> None:
        """Send output until the process has ended, then its exit code."""
        pipes = [(PacketId.STDOUT, self._process.stdout), (PacketId.STDERR, self._process.stderr)]
        try:
            await asyncio.gather(*(self._pump(kind, pipe) for kind, pipe in pipes if pipe))
        except (StreamClosed, ConnectionError):
            self._hang_up()
            raise
        finally:
            status = await self._process.wait()
        if self._v2:
            exit_code = status & 0xFF if status >= 0 else 128 - status
            await self._stream.write(_PACKET.pack(PacketId.EXIT, 1) + bytes([exit_code]))

    async def feed(self) -> None:
        """Pass the host's input on; when the host hangs up, stop what it started."""
        stdin = self._process.stdin
        assert stdin is not None
        try:
            while True:
                if not self._v2:
                    stdin.write(await self._stream.read_some())
                else:
                    kind, length = _PACKET.unpack(await self._stream.read(_PACKET.size))
                    data = await self._stream.read(length)
                    if kind == PacketId.STDIN:
                        stdin.write(data)
                    elif kind == PacketId.CLOSE_STDIN:
                        stdin.close()
                if not stdin.is_closing():
                    await self._drain(stdin)
        except (StreamClosed, ConnectionError):
            self._hang_up()

    @staticmethod
    async def _drain(stdin: asyncio.StreamWriter) -> None:
        try:
            await stdin.drain()
        except ConnectionError:
            # The command does not read its input; that is its business.
            pass

    async def _pump(self, kind: PacketId, pipe: asyncio.StreamReader) -> None:
        while data := await pipe.read(_CHUNK_BYTES):
            async with self._writing:
                await self._stream.write(_PACKET.pack(kind, len(data)) + data if self._v2 else data)

    def _hang_up(self) -> None:
        """End what the host has started, and close the pipes: what has a session of its own goes on.

        As with adbd its next write fails then. A pipe that is open and never read would stop it one day.
        """
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._transport.close()
