"""A card, and an upload through the hub's own library to a server on loopback."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from measured_runs import add_measured
from tiny_artifact import make_artifact
from tiny_decoder import TinyDecoder

from toolkit.artifact import Artifact
from toolkit.errors import ArtifactCorrupt, PublishFailed, UsageError
from toolkit.sharing.hub import push_to_hub
from toolkit.sharing.model_card import model_card
from toolkit.store import Store


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return make_artifact(tmp_path / "tiny", TinyDecoder(context_length=256))


class Hub:
    """As much of the hub as one commit needs; keeps what was committed."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.created: list[dict[str, Any]] = []
        self.status = 200
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                status, answer = hub.answer(self.path, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self) -> None:
                data = hub.files.get(self.path.partition("/me/tiny/resolve/main/")[2])
                self.send_response(404 if data is None else 200)
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                self.wfile.write(data or b"")

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if path == "/api/repos/create":
            self.created.append(json.loads(body))
            return 200, {"url": f"{self.url}/me/tiny", "name": "me/tiny", "id": "me/tiny"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path == "/api/models/me/tiny/preupload/main":
            asked = json.loads(body)["files"]
            return 200, {
                "files": [
                    {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                    for one in asked
                ]
            }
        if path.startswith("/api/models/me/tiny/commit/main"):
            if self.status != 200:
                return self.status, {"error": "no"}
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return 200, {"commitUrl": f"{self.url}/me/tiny/commit/abc", "commitOid": "abc", "success": True}
        return 404, {"error": f"not known here: {path}"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_TOKEN", "hf_made_up")
    made = Hub()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def measured(store: Store, artifact: Artifact) -> None:
    for number in range(3):
        of_this = {"sha256": artifact.manifest.sha256}
        add_measured(store, f"run{number}", decode=20 + number, artifact=of_this, emulated=False)
    add_measured(store, "other", decode=177)


def test_a_card_tells_what_was_measured_of_this_artifact_and_under_what(
    artifact: Artifact, store: Store
) -> None:
    assert "Nothing yet" in model_card(artifact, store)
    measured(store, artifact)
    card = model_card(artifact, store)
    _, front, text = card.split("---\n", 2)
    assert "slm-toolkit" in yaml.safe_load(front)["tags"]
    assert "Its weights are random" in text and "Not compared" in text
    [row] = [line for line in text.splitlines() if "threads" in line]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[3].startswith("21") and cells[3].endswith("]")
    assert cells[-1].startswith("3, 20")
    assert "177" not in row


def test_rows_of_other_conditions_never_look_alike(artifact: Artifact, store: Store) -> None:
    sha256 = {"sha256": artifact.manifest.sha256}
    for run_id, changes in {
        "a": {},
        "b": {"affinity": (3,)},
        "c": {"prefill_chunk": 64},
        "d": {"settings": {"runner": "app"}},
        "e": {"threads": 0},
        "f": {"bundle_sha256": "c" * 64},
    }.items():
        add_measured(store, run_id, artifact=sha256, **changes)  # type: ignore[arg-type]
    rows = [line.split(" | ")[:2] for line in model_card(artifact, store).splitlines() if "threads" in line]
    assert len(rows) == len({tuple(row) for row in rows}) == 6
    assert sum("threads auto" in work for _, work in rows) == 1


def test_an_upload_is_one_commit_with_every_file_and_the_card(artifact: Artifact, hub: Hub) -> None:
    address = push_to_hub(artifact, "me/tiny", "# card", private=True, endpoint=hub.url)
    assert address == f"{hub.url}/me/tiny/commit/abc"
    # Versions of the library say it in two ways.
    assert hub.created[0].get("visibility") == "private" or hub.created[0].get("private") is True
    assert hub.files.pop("README.md") == b"# card"
    names = {str(path.relative_to(artifact.path)) for path in artifact.path.rglob("*") if path.is_file()}
    assert hub.files == {name: (artifact.path / name).read_bytes() for name in names}


def test_the_commands_write_and_upload_the_card(artifact: Artifact, hub: Hub, tmp_path: Path) -> None:
    environ = {**os.environ, "HF_ENDPOINT": hub.url, "SLM_DATA_DIR": str(tmp_path / "data")}

    def slm(*arguments: object) -> str:
        command = [sys.executable, "-m", "toolkit.cli.main", *map(str, arguments)]
        done = subprocess.run(command, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    file = tmp_path / "card.md"
    slm("card", artifact.path, "-o", file)
    assert slm("push-to-hub", artifact.path, "me/tiny").strip() == f"{hub.url}/me/tiny/commit/abc"
    assert hub.files["README.md"].decode() == file.read_text()
    command = [sys.executable, "-m", "toolkit.cli.main", "card", str(artifact.path), "-o", "none/card.md"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.returncode == UsageError.exit_code and "mkdir -p none" in done.stderr


def test_an_upload_keeps_what_was_written_into_the_metadata_on_the_hub(artifact: Artifact, hub: Hub) -> None:
    hub.files["README.md"] = b"---\nlicense: apache-2.0\ntags: [mine, slm-toolkit]\n---\n\nearlier text\n"
    made = "---\npipeline_tag: text-generation\ntags: [slm-toolkit]\n---\n\n# card\n"
    for _ in range(2):
        push_to_hub(artifact, "me/tiny", made, endpoint=hub.url)
        _, front, text = hub.files["README.md"].decode().split("---\n", 2)
        assert yaml.safe_load(front) == {
            "license": "apache-2.0",
            "pipeline_tag": "text-generation",
            "tags": ["slm-toolkit", "mine"],
        }
        assert text == "\n# card\n"
    hub.files["README.md"] = broken = b"---\nlicense: [\n---\n"
    with pytest.raises(UsageError, match="on the hub"):
        push_to_hub(artifact, "me/tiny", made, endpoint=hub.url)
    assert hub.files["README.md"] == broken


def test_a_card_of_the_folder_one_is_in_names_it(
    artifact: Artifact, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(artifact.path)
    assert f"slm chat {artifact.path.name}\n" in model_card(Artifact.load(Path(".")), store)


@pytest.mark.parametrize(
    ("status", "next_step"), [(403, "hf auth login"), (500, "run the same command again")]
)
def test_a_refused_upload_is_a_typed_error(artifact: Artifact, hub: Hub, status: int, next_step: str) -> None:
    hub.status = status
    with pytest.raises(PublishFailed, match=f"(?si)me/tiny.*{status}.*{next_step}"):
        push_to_hub(artifact, "me/tiny", "# card", endpoint=hub.url)
    assert hub.files == {}


def test_nothing_is_sent_of_what_cannot_be_meant(artifact: Artifact, hub: Hub) -> None:
    with pytest.raises(UsageError, match="USER/NAME"):
        push_to_hub(artifact, "me/tiny/more", "# card", endpoint=hub.url)
    with pytest.raises(PublishFailed, match="not reached"):
        push_to_hub(artifact, "me/tiny", "# card", endpoint="http://127.0.0.1:9")
    model = artifact.path / "model.onnx"
    model.chmod(0o644)
    model.write_bytes(b"x" * model.stat().st_size)
    with pytest.raises(ArtifactCorrupt):
        push_to_hub(artifact, "me/tiny", "# card", endpoint=hub.url)
    assert hub.created == [] and hub.files == {}
