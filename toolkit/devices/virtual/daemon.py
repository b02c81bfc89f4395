"""The virtual phone's process: ``python -m toolkit.devices.virtual.daemon SPEC ROOT READY``.

Started by ``fleet`` through ``sandbox_command``. Everything is imported before the root changes, because
afterwards there is no Python to import from.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

from toolkit.devices.virtual.conditions import CONDITIONS_FILE, PROC_FOLDER
from toolkit.devices.virtual.cpu_time import keep_cpu_time
from toolkit.devices.virtual.faults import FaultClock
from toolkit.devices.virtual.sandbox import enter_root, mount_system_folders
from toolkit.devices.virtual.shell_service import serve_shell
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.devices.virtual.sync_service import serve_sync
from toolkit.devices.virtual.transport import Connection, Stream

# Room for a few maximal packets between the socket and the streams.
_READ_BUFFER_BYTES = 4 << 20


def main(spec_path: Path, root: Path, ready_path: Path) -> None:
    """Serve one phone until it is killed."""
    spec = PhoneSpec.read(spec_path)
    mount_system_folders(root, root / PROC_FOLDER, data_bytes=spec.faults.space_bytes)
    # Loopback only: this shell asks for no password.
    listener = socket.create_server(("127.0.0.1", spec.port))
    announcement = ready_path.with_suffix(".new")
    announcement.write_text(json.dumps({"port": listener.getsockname()[1]}), encoding="utf-8")
    announcement.replace(ready_path)
    adbd = os.fork()
    if adbd:
        listener.close()
        _be_init(adbd)
    enter_root(root)
    asyncio.run(_serve(spec, listener))


def _be_init(adbd: int) -> None:
    """Reap orphans, as the first process of a pid namespace must, until adbd ends."""
    while os.wait()[0] != adbd:
        pass
    os._exit(0)


async def _serve(spec: PhoneSpec, listener: socket.socket) -> None:
    clock = FaultClock(spec.faults)
    known_keys: list[bytes] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(
            reader,
            writer,
            banner=spec.banner(),
            faults=spec.faults,
            clock=clock,
            known_keys=known_keys,
            service=_run_service,
        )
        await connection.run()

    stat = Path("/", PROC_FOLDER, "stat")
    cpu_time = asyncio.create_task(keep_cpu_time(stat, Path("/", CONDITIONS_FILE), spec.cores))
    server = await asyncio.start_server(connected, sock=listener, limit=_READ_BUFFER_BYTES)
    async with server:
        # An error of either ends the phone, and its log says why.
        await asyncio.gather(server.serve_forever(), cpu_time)


async def _run_service(stream: Stream, name: str) -> None:
    """Run "shell,v2,raw:COMMAND", "exec:COMMAND" or "sync:"; any other service is refused."""
    head, _, argument = name.partition(":")
    kind, *options = head.split(",")
    if kind in ("shell", "exec"):
        await serve_shell(stream, argument, v2="v2" in options)
    elif kind == "sync":
        await serve_sync(stream)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
