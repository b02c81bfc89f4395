"""The server's process: loads the model, listens, and lets go of it at the end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager

import uvicorn

from toolkit.artifact import Artifact
from toolkit.chat.kept_model import KeptModel
from toolkit.chat.loaded_model import LoadedModel
from toolkit.chat.request import GenerateRequest
from toolkit.errors import UsageError
from toolkit.serve.answers import Answers
from toolkit.serve.application import application

# What a stopped server leaves to answers under way.
_END_S = 2


def run_server(
    artifact: Artifact,
    load: Callable[[], AbstractContextManager[LoadedModel]],
    defaults: GenerateRequest,
    *,
    host: str,
    port: int,
    hosts: list[str],
    maximum_waiting: int,
    ready: Callable[[int], None],
) -> None:
    """Serve until a signal ends it.

    Args:
        artifact: the model.
        load: loads it.
        defaults: how to generate where a request leaves it open.
        host: address to listen on.
        port: 0 takes any that is free.
        hosts: see :func:`application`.
        maximum_waiting: see :class:`Answers`.
        ready: told the port once the model is loaded and the server listens.

    Raises:
        UsageError: the address is not to be had.
        ToolkitError: the model cannot be loaded.
    """
    listening = _listen(host, port)
    try:
        asyncio.run(
            _serve(
                listening,
                artifact,
                KeptModel(load),
                defaults,
                hosts=hosts,
                maximum_waiting=maximum_waiting,
                ready=ready,
            )
        )
    finally:
        listening.close()


async def _serve(
    listening: socket.socket,
    artifact: Artifact,
    model: KeptModel,
    defaults: GenerateRequest,
    *,
    hosts: list[str],
    maximum_waiting: int,
    ready: Callable[[int], None],
) -> None:
    answers = Answers(model, maximum_waiting=maximum_waiting)
    try:
        await answers.start()
    except BaseException:
        await answers.close()
        raise
    app = application(artifact, answers, defaults, hosts=hosts)
    config = uvicorn.Config(
        app, log_level="warning", timeout_graceful_shutdown=_END_S, server_header=False, lifespan="on"
    )
    listening.listen()
    ready(listening.getsockname()[1])
    await uvicorn.Server(config).serve(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise UsageError(
            f"{host} port {port} cannot be listened on: {error.strerror}",
            next_step="Pass another --port; 0 takes any that is free.",
        ) from None
    return listening
