"""One host connection: authentication, then many streams over one socket."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

from toolkit.devices.virtual.auth import TOKEN_BYTES, signature_matches
from toolkit.devices.virtual.faults import ConnectionCut, FaultClock, Faults
from toolkit.devices.virtual.packets import (
    HEADER_BYTES,
    MAX_PAYLOAD,
    PROTOCOL_VERSION,
    AuthType,
    BadPacket,
    Command,
    Header,
    pack_header,
    unpack_header,
)

Service = Callable[["Stream", str], Awaitable[None]]

# A slow link carries on while the phone is busy with what came before, as far as buffers hold it.
_LINK_LEAD_S = 0.05


class StreamClosed(Exception):
    """The host closed the stream, or the connection is gone."""


class Stream:
    """One opened service.

    Reading a packet is what acknowledges it, and a write waits until the host has acknowledged the one
    before, so that a slow side slows the other instead of filling memory.
    """

    def __init__(self, connection: Connection, local_id: int, remote_id: int) -> None:
        self._connection = connection
        self.local_id = local_id
        self.remote_id = remote_id
        self._inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._unread = bytearray()
        self._may_write = asyncio.Event()
        self._closed = False

    async def accept(self) -> None:
        """Tell the host that the service exists."""
        await self._connection.send(Command.OKAY, self.local_id, self.remote_id)
        self._may_write.set()

    async def read_some(self) -> bytes:
        """Return the next packet's bytes; raises StreamClosed at the end."""
        if self._unread:
            data, self._unread = bytes(self._unread), bytearray()
            return data
        packet = await self._inbox.get()
        if packet is None:
            # Every reader of the stream must see the end, not only the first.
            self._inbox.put_nowait(None)
            raise StreamClosed
        await self._connection.send(Command.OKAY, self.local_id, self.remote_id)
        return packet

    async def read(self, count: int) -> bytes:
        """Return exactly ``count`` bytes; raises StreamClosed at the end."""
        while len(self._unread) < count:
            unread, self._unread = self._unread, bytearray()
            try:
                unread += await self.read_some()
            finally:
                self._unread = unread
        data = bytes(self._unread[:count])
        del self._unread[:count]
        return data

    async def write(self, data: bytes) -> None:
        """Send data; returns once the host has it. Raises StreamClosed."""
        view = memoryview(data)
        for start in range(0, len(view), self._connection.max_payload):
            await self._writable()
            self._may_write.clear()
            packet = view[start : start + self._connection.max_payload]
            await self._connection.send(Command.WRTE, self.local_id, self.remote_id, packet)
        if data:
            await self._writable()

    async def close(self) -> None:
        """Close from the phone's side; closing twice is fine."""
        self._connection.forget(self)
        if not self._closed:
            self._closed = True
            await self._connection.send(Command.CLSE, self.local_id, self.remote_id)

    def packet_arrived(self, data: bytes) -> None:
        """The connection has read a WRTE."""
        self._inbox.put_nowait(data)

    def acknowledged(self) -> None:
        """The connection has read an OKAY."""
        self._may_write.set()

    def closed_by_host(self) -> None:
        """The connection has read a CLSE, or ended."""
        self._closed = True
        self._inbox.put_nowait(None)
        self._may_write.set()

    async def _writable(self) -> None:
        await self._may_write.wait()
        if self._closed:
            raise StreamClosed


class Connection:
    """The phone's end of one TCP connection.

    Args:
        reader: the socket's reader.
        writer: the socket's writer.
        banner: sent when online: product, model and features.
        faults: the authentication policy.
        clock: injected faults, shared by the phone's connections.
        known_keys: public keys that the phone has accepted; grows.
        service: runs one opened stream.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        banner: bytes,
        faults: Faults,
        clock: FaultClock,
        known_keys: list[bytes],
        service: Service,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._banner = banner
        self._faults = faults
        self._clock = clock
        self._known_keys = known_keys
        self._service = service
        self._streams: dict[int, Stream] = {}
        self._next_id = 1
        self._online = False
        self._link_busy_until_s = 0.0
        self._token = os.urandom(TOKEN_BYTES)
        self._tasks: set[asyncio.Task[None]] = set()
        self.max_payload = MAX_PAYLOAD

    async def run(self) -> None:
        """Serve until either side ends the connection."""
        try:
            while True:
                header = unpack_header(await self._receive(HEADER_BYTES))
                await self._handle(header, await self._receive(header.length))
        except (asyncio.IncompleteReadError, ConnectionError, ConnectionCut, BadPacket):
            pass
        finally:
            for stream in list(self._streams.values()):
                stream.closed_by_host()
            self._writer.transport.abort()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def forget(self, stream: Stream) -> None:
        """Route no more packets to the stream."""
        self._streams.pop(stream.local_id, None)

    async def send(self, command: Command, arg0: int, arg1: int, payload: bytes | memoryview = b"") -> None:
        """Send one packet."""
        self._write(pack_header(command, arg0, arg1, payload, checked=not self._online))
        if payload:
            self._write(payload)
        await self._writer.drain()
        await self._take_time(len(payload))

    def _write(self, data: bytes | memoryview) -> None:
        allowed = self._clock.move(len(data))
        self._writer.write(data[:allowed])
        if allowed < len(data):
            # close() and not abort(): the bytes before the cut do arrive.
            self._writer.close()
            raise ConnectionCut

    async def _receive(self, count: int) -> bytes:
        data = await self._reader.readexactly(count) if count else b""
        if self._clock.move(count) < count:
            raise ConnectionCut
        await self._take_time(count)
        return data

    async def _take_time(self, count: int) -> None:
        delay_s = self._clock.delay_s(count)
        # Headers are too short to matter, and sleeping for them would cost more than they do.
        if count > HEADER_BYTES and delay_s:
            now = time.monotonic()
            self._link_busy_until_s = max(self._link_busy_until_s, now - _LINK_LEAD_S) + delay_s
            await asyncio.sleep(max(self._link_busy_until_s - now, 0))

    async def _handle(self, header: Header, data: bytes) -> None:
        stream = self._streams.get(header.arg1)
        match header.command:
            case Command.CNXN:
                self.max_payload = min(MAX_PAYLOAD, header.arg1)
                await self._greet()
            case Command.AUTH:
                await self._authenticate(header.arg0, data)
            case _ if not self._online:
                raise BadPacket("not authenticated")
            case Command.OPEN:
                self._open(header.arg0, data.rstrip(b"\0").decode(errors="surrogateescape"))
            case Command.WRTE if stream:
                stream.packet_arrived(data)
            case Command.OKAY if stream:
                stream.acknowledged()
            case Command.CLSE if stream:
                self.forget(stream)
                stream.closed_by_host()

    async def _greet(self) -> None:
        if self._faults.auth == "none":
            await self._go_online()
        else:
            await self.send(Command.AUTH, AuthType.TOKEN, 0, self._token)

    async def _authenticate(self, kind: int, data: bytes) -> None:
        if kind == AuthType.SIGNATURE:
            if any(signature_matches(key, self._token, data) for key in self._known_keys):
                await self._go_online()
            else:
                # A new token asks for the next of the host's keys, or for its public key.
                self._token = os.urandom(TOKEN_BYTES)
                await self.send(Command.AUTH, AuthType.TOKEN, 0, self._token)
        elif kind == AuthType.PUBLIC_KEY and self._faults.auth in ("accept", "late"):
            self._spawn(self._accept_key(data))

    async def _accept_key(self, key: bytes) -> None:
        if self._faults.auth == "late":
            await asyncio.sleep(self._faults.auth_delay_s)
        self._known_keys.append(key)
        await self._go_online()

    async def _go_online(self) -> None:
        await self.send(Command.CNXN, PROTOCOL_VERSION, MAX_PAYLOAD, self._banner)
        self._online = True

    def _open(self, remote_id: int, name: str) -> None:
        stream = Stream(self, self._next_id, remote_id)
        self._streams[self._next_id] = stream
        self._next_id += 1
        self._spawn(self._serve(stream, name))

    async def _serve(self, stream: Stream, name: str) -> None:
        try:
            await self._service(stream, name)
        finally:
            # A service that does not exist was never accepted: a bare CLSE refuses it.
            await stream.close()

    def _spawn(self, work: Awaitable[None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except (StreamClosed, ConnectionError):
                pass
            except ConnectionCut:
                self._writer.close()

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
