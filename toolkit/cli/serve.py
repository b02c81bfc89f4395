"""`slm serve`: a model on a device for programs that speak OpenAI's interface."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.chat.request import GenerateRequest
from toolkit.cli.request_options import takes
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.chat.loaded_model import LoadedModel

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@takes(GenerateRequest)
def serve(
    artifact: Path = typer.Argument(help="Artifact folder, made by slm convert.", metavar="ARTIFACT"),
    device: str | None = typer.Option(
        None,
        "--device",
        "-d",
        help="Serial, or local; the attached phone when there is just one.",
        rich_help_panel="Device",
    ),
    port: int = typer.Option(
        8000, "--port", min=0, max=65535, help="0 takes any that is free.", rich_help_panel="Server"
    ),
    host: str = typer.Option(
        _LOOPBACK[0],
        "--host",
        help="Address to listen on; any other lets other machines in, unasked.",
        rich_help_panel="Server",
    ),
    queue: int = typer.Option(
        16, "--queue", min=0, help="Requests that may wait; others get status 429.", rich_help_panel="Server"
    ),
    *,
    request: GenerateRequest,
) -> None:
    """Serve a model on a device as OpenAI's API. It knows chat/completions, completions and models.

    One answer at a time, the others wait; a client that hangs up stops its answer. The options below hold
    where a request leaves them open. The address is printed once the model is loaded. Ctrl-C ends it.

    \b
    Examples:
      slm serve smollm2-8da4w
      slm serve smollm2-8da4w --device R5CT1234567 --port 8080 --temperature 0.7
    """  # noqa: D301
    from toolkit.artifact import Artifact
    from toolkit.chat.loaded_model import load_model
    from toolkit.devices.discovery import open_device
    from toolkit.devices.selection import chosen_serial
    from toolkit.serve.server import run_server

    settings = Settings.from_environment()
    loaded = Artifact.load(artifact)
    serial = chosen_serial(device, settings)

    def load() -> AbstractContextManager[LoadedModel]:
        return load_model(
            open_device(serial, settings), loaded, settings, threads=request.threads, runner=request.runner
        )

    shown = f"[{host}]" if ":" in host else host

    def ready(actual_port: int) -> None:
        print(f"http://{shown}:{actual_port}/v1  model {loaded.name}", flush=True)

    hosts = ["127.0.0.1", "localhost", "[::1]"] if host in _LOOPBACK else ["*"]
    try:
        run_server(
            loaded, load, request, host=host, port=port, hosts=hosts, maximum_waiting=queue, ready=ready
        )
    except KeyboardInterrupt:
        print("ended", file=sys.stderr)
