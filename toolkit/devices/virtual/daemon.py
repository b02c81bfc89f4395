"""The virtual phone's process: ``python -m toolkit.devices.virtual.daemon SPEC ROOT READY [EMULATOR]``.

Started by ``fleet`` through ``sandbox_command``. Everything is imported before the root changes, because
afterwards there is no Python to import from.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from toolkit.devices.virtual.conditions import CONDITIONS_FILE, PROC_FOLDER
from toolkit.devices.virtual.cpu_time import keep_cpu_time
from toolkit.devices.virtual.emulator import cpu_model, let_kernel_run
from toolkit.devices.virtual.faults import FaultClock
from toolkit.devices.virtual.sandbox import enter_root, mount_system_folders
from toolkit.devices.virtual.shell_service import serve_shell
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.devices.virtual.sync_service import serve_sync
from toolkit.devices.virtual.transport import Connection, Stream
from toolkit.errors import VirtualPhoneFailed
from toolkit.files import write_whole

# Room for a few maximal packets between the socket and the streams.
_READ_BUFFER_BYTES = 4 << 20


def main(spec_path: Path, root: Path, ready_path: Path, emulator: Path | None = None) -> None:
    """Serve one phone until it is killed; ``emulator`` runs its programs when this machine cannot."""
    spec = PhoneSpec.read(spec_path)
    mount_system_folders(root, root / PROC_FOLDER, faults=spec.faults)
    environment = {}
    if emulator is not None:
        let_kernel_run(emulator, root)
        environment["QEMU_CPU"] = cpu_model(spec.cpu_features)
    # Loopback only: this shell asks for no password.
    listener = socket.create_server(("127.0.0.1", spec.port))
    write_whole(ready_path, json.dumps({"port": listener.getsockname()[1]}))
    adbd = os.fork()
    if adbd:
        listener.close()
        _be_init(adbd)
    enter_root(root)
    asyncio.run(_serve(spec, listener, environment))


def _be_init(adbd: int) -> None:
    """Reap orphans, as the first process of a pid namespace must, until adbd ends."""
    while os.wait()[0] != adbd:
        pass
    os._exit(0)


async def _serve(spec: PhoneSpec, listener: socket.socket, environment: Mapping[str, str]) -> None:
    clock = FaultClock(spec.faults)
    known_keys: list[bytes] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # As adbd does. asyncio leaves it out for a listener that was not its own, and each answer of more
        # than one packet would wait 40 ms for an acknowledgement.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(
            reader,
            writer,
            banner=spec.banner(),
            faults=spec.faults,
            clock=clock,
            known_keys=known_keys,
            service=partial(_run_service, environment=environment),
        )
        await connection.run()

    stat = Path("/", PROC_FOLDER, "stat")
    cpu_time = asyncio.create_task(keep_cpu_time(stat, Path("/", CONDITIONS_FILE), spec.cores))
    server = await asyncio.start_server(connected, sock=listener, limit=_READ_BUFFER_BYTES)
    async with server:
        # An error of either ends the phone, and its log says why.
        await asyncio.gather(server.serve_forever(), cpu_time)


async def _run_service(stream: Stream, name: str, *, environment: Mapping[str, str]) -> None:
    """Run "shell,v2,raw:COMMAND", "exec:COMMAND" or "sync:"; any other service is refused."""
    head, _, argument = name.partition(":")
    kind, *options = head.split(",")
    if kind in ("shell", "exec"):
        await serve_shell(stream, argument, v2="v2" in options, environment=environment)
    elif kind == "sync":
        await serve_sync(stream)


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:]))
    except VirtualPhoneFailed as error:
        # The last line of the log is what the user is shown.
        sys.exit(" ".join(filter(None, (error.what, error.next_step))))
