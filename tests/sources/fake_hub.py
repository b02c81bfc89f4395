"""A small server on loopback that answers as the hub does, for the real hub library."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.sources.hub import Hub

REPO = "someone/tiny-llama"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    """One repository.

    ``cut`` names a file whose transfer breaks off, ``commit`` is where the branch stands, ``requests`` is
    what was asked for.
    """

    files: dict[str, bytes]
    cut: str | None = None
    commit: str = COMMIT
    requests: list[str] = field(default_factory=list)
    url: str = ""


def make_handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None: ...

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            if self.path.startswith(f"/api/models/{REPO}"):
                self.describe()
            elif self.path.startswith((f"/{REPO}/resolve/{COMMIT}/", f"/{REPO}/resolve/main/")):
                self.deliver(self.path.rpartition("/")[2], body)
            else:
                self.refuse()

        def refuse(self) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def describe(self) -> None:
            siblings = [{"rfilename": name, "size": len(content)} for name, content in hub.files.items()]
            content = json.dumps(
                {"id": REPO, "sha": COMMIT if COMMIT in self.path else hub.commit, "siblings": siblings}
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def deliver(self, name: str, body: bool) -> None:
            content = hub.files[name]
            self.send_response(200)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content[: len(content) // 2] if name == hub.cut else content)

    return Handler


@contextmanager
def serving_hub(folder: Path, settings: Settings) -> Iterator[FakeHub]:
    """A hub that has a tiny Llama, which is written into ``folder``, while the block runs."""
    from safetensors.torch import save_file

    source = resolve("random:llama-tiny", settings)
    folder.mkdir()
    source.config.save_pretrained(folder)
    source.write_tokenizer(folder)
    save_file({n: source.weights.read(n) for n in source.weights.names()}, folder / "model.safetensors")
    (folder / "README.md").write_text("not needed")
    hub = FakeHub({path.name: path.read_bytes() for path in folder.iterdir()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(hub))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    yield hub
    server.shutdown()
    server.server_close()
    thread.join()


def cache_as_others_do(hub: Hub, names: tuple[str, ...] = ("config.json", "model.safetensors")) -> None:
    """What from_pretrained or a download by pattern leaves: the branch and the files that it wanted."""
    from huggingface_hub import hf_hub_download

    for name in names:
        hf_hub_download(REPO, name, cache_dir=hub.cache_dir, endpoint=hub.endpoint)
