"""The hub, spoken to by the real hub library: a small server on loopback answers as the hub does."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from toolkit.errors import SourceCorrupt, SourceError, SourceNotFound, UntrustedSource
from toolkit.models.catalogue.catalogue import shipped
from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.sources.base import ModelSource
from toolkit.sources.catalogue_entry import add_entry
from toolkit.sources.hub import Hub, HubUnreachable

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


@pytest.fixture
def fake_hub(tmp_path: Path, settings: Settings) -> Iterator[FakeHub]:
    from safetensors.torch import save_file

    source = resolve("random:llama-tiny", settings)
    folder = tmp_path / "published"
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


@pytest.fixture
def hub(fake_hub: FakeHub, tmp_path: Path) -> Hub:
    return Hub(endpoint=fake_hub.url, cache_dir=tmp_path / "hub")


def test_model_is_downloaded_once(fake_hub: FakeHub, hub: Hub, settings: Settings) -> None:
    source = resolve(REPO, settings, hub=hub)
    assert source.name == "tiny-llama"
    assert (source.info.kind, source.info.id, source.info.revision) == ("hub", REPO, COMMIT)
    sha256 = hashlib.sha256(fake_hub.files["model.safetensors"]).hexdigest()
    assert [(file.path, file.sha256) for file in source.info.files] == [("model.safetensors", sha256)]
    original = resolve("random:llama-tiny", settings).weights
    assert all(torch.equal(source.weights.read(n), original.read(n)) for n in original.names())
    assert not any("README" in request for request in fake_hub.requests)
    fake_hub.requests.clear()
    assert resolve(REPO, settings, hub=hub).info == source.info
    assert resolve(REPO, settings, hub=hub, offline=True).info == source.info
    assert resolve(REPO, settings, hub=hub, revision=COMMIT).info == source.info
    assert not fake_hub.requests


def test_a_catalogue_entry_needs_the_config_only(fake_hub: FakeHub, hub: Hub, settings: Settings) -> None:
    entry, _ = add_entry(REPO, settings, hub=hub)
    assert (entry.name, entry.hub_id, entry.organisation) == ("tiny-llama", REPO, "someone")
    assert entry.parameters == shipped()["llama-tiny"].parameters
    assert not any("safetensors" in request for request in fake_hub.requests)
    add_entry(REPO, settings, hub=hub, offline=True, replace=True)
    # What it left in the cache is not taken for the whole model.
    assert resolve(REPO, settings, hub=hub).info.kind == "hub"
    with pytest.raises(SourceNotFound):
        add_entry("someone/else", settings, hub=hub)
    del fake_hub.files["config.json"]
    with pytest.raises(SourceNotFound, match=r"no config\.json"):
        add_entry(REPO, settings, hub=Hub(endpoint=fake_hub.url, cache_dir=settings.cache_dir), replace=True)


def test_progress_is_shown(hub: Hub, settings: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    resolve(REPO, settings, hub=hub)
    shown = capfd.readouterr()
    assert f"download {REPO}" in shown.err
    assert "\r" not in shown.err
    assert not shown.out


def test_unknown_model_lists_what_was_tried(hub: Hub, settings: Settings) -> None:
    with pytest.raises(
        SourceNotFound, match="no such model on the hub.*local folder, hub cache, hub"
    ) as caught:
        resolve("someone/nothing", settings, hub=hub)
    assert not isinstance(caught.value, HubUnreachable)


def test_offline_does_not_ask(fake_hub: FakeHub, hub: Hub, settings: Settings) -> None:
    with pytest.raises(SourceNotFound, match="--offline"):
        resolve(REPO, settings, hub=hub, offline=True)
    assert not fake_hub.requests


@pytest.mark.parametrize("model", ["../etc", "a/b/c", "two words", ""])
def test_what_cannot_be_a_hub_id_is_not_asked_for(
    fake_hub: FakeHub, hub: Hub, settings: Settings, model: str
) -> None:
    with pytest.raises(SourceError):
        resolve(model, settings, hub=hub)
    assert not fake_hub.requests


def test_pickled_weights_need_trust(fake_hub: FakeHub, hub: Hub, settings: Settings) -> None:
    fake_hub.files["pytorch_model.bin"] = fake_hub.files.pop("model.safetensors")
    with pytest.raises(UntrustedSource, match="--trust-remote-code"):
        resolve(REPO, settings, hub=hub)
    assert not any("pytorch_model.bin" in request for request in fake_hub.requests)


def test_gguf_only_repository_names_the_file(fake_hub: FakeHub, hub: Hub, settings: Settings) -> None:
    fake_hub.files["model.gguf"] = fake_hub.files.pop("model.safetensors")
    with pytest.raises(SourceNotFound, match=r"model\.gguf"):
        resolve(REPO, settings, hub=hub)


def test_sharded_weights_are_downloaded(fake_hub: FakeHub, hub: Hub, settings: Settings) -> None:
    from safetensors.torch import load, save

    tensors = load(fake_hub.files.pop("model.safetensors"))
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, part in shards.items():
        fake_hub.files[file] = save({name: tensors[name] for name in part})
    weight_map = {name: file for file, part in shards.items() for name in part}
    fake_hub.files["model.safetensors.index.json"] = json.dumps(
        {"metadata": {}, "weight_map": weight_map}
    ).encode()
    source = resolve(REPO, settings, hub=hub)
    assert [entry.path for entry in source.info.files] == sorted(shards)
    assert all(torch.equal(source.weights.read(name), tensors[name]) for name in tensors)


def test_broken_download_leaves_nothing_under_the_final_name(
    fake_hub: FakeHub, hub: Hub, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The hub library resumes five times with growing pauses; the pauses are not what is tested.
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    fake_hub.cut = "model.safetensors"
    with pytest.raises(SourceError, match=r"model\.safetensors failed"):
        resolve(REPO, settings, hub=hub)
    assert not list((tmp_path / "hub").rglob("*.safetensors"))
    fake_hub.cut = None
    assert resolve(REPO, settings, hub=hub).info.revision == COMMIT


def test_half_cached_model_is_completed(fake_hub: FakeHub, hub: Hub, settings: Settings) -> None:
    from huggingface_hub import hf_hub_download

    hf_hub_download(REPO, "config.json", revision=COMMIT, cache_dir=hub.cache_dir, endpoint=hub.endpoint)
    assert resolve(REPO, settings, hub=hub, revision=COMMIT).info.kind == "hub"


def written_tokenizer(source: ModelSource, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    source.write_tokenizer(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def cache_as_others_do(hub: Hub, names: tuple[str, ...] = ("config.json", "model.safetensors")) -> None:
    """What from_pretrained or a download by pattern leaves: the branch and the files that it wanted."""
    from huggingface_hub import hf_hub_download

    for name in names:
        hf_hub_download(REPO, name, cache_dir=hub.cache_dir, endpoint=hub.endpoint)


def test_what_others_left_in_the_cache_does_not_change_what_is_written(
    fake_hub: FakeHub, hub: Hub, settings: Settings, tmp_path: Path
) -> None:
    fake_hub.files["chat_template.jinja"] = b"{% for message in messages %}{{ message.content }}{% endfor %}"
    fake_hub.files["generation_config.json"] = json.dumps({"eos_token_id": [7, 9]}).encode()
    expected = written_tokenizer(resolve(REPO, settings, hub=hub), tmp_path / "from empty")
    assert {"tokenizer.json", "chat_template.jinja", "generation_config.json"} <= set(expected)
    warm = Hub(endpoint=fake_hub.url, cache_dir=tmp_path / "warm")
    cache_as_others_do(warm)
    fake_hub.requests.clear()
    assert written_tokenizer(resolve(REPO, settings, hub=warm), tmp_path / "from warm") == expected
    assert not any("safetensors" in request for request in fake_hub.requests)
    # What the repository lacks is remembered as the hub library does it: nothing is asked twice.
    fake_hub.requests.clear()
    assert written_tokenizer(resolve(REPO, settings, hub=warm), tmp_path / "again") == expected
    assert not fake_hub.requests


@pytest.mark.parametrize("offline", [True, False])
def test_files_that_nobody_asked_for_are_named_where_the_hub_is_not_asked(
    fake_hub: FakeHub, hub: Hub, settings: Settings, offline: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    cache_as_others_do(hub)
    away = hub if offline else Hub("http://127.0.0.1:9", hub.cache_dir)
    resolve(REPO, settings, hub=away, offline=offline)
    told = capsys.readouterr().err
    assert REPO in told
    assert "tokenizer.json" in told
    assert "adapter_config.json" in told
    assert ("--offline" if offline else "cannot be reached") in told
    resolve(REPO, settings, hub=hub)
    capsys.readouterr()
    resolve(REPO, settings, hub=away, offline=offline)
    assert "not known" not in capsys.readouterr().err


def test_a_cached_commit_is_completed_from_that_commit(
    fake_hub: FakeHub, hub: Hub, settings: Settings, tmp_path: Path
) -> None:
    cache_as_others_do(hub)
    fake_hub.commit = "f" * 40
    source = resolve(REPO, settings, hub=hub)
    assert source.info.revision == COMMIT
    assert f"GET /api/models/{REPO}/revision/{COMMIT}?blobs=true" in fake_hub.requests
    assert "tokenizer.json" in written_tokenizer(source, tmp_path / "written")


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("adapter_config.json", {"peft_type": "LORA"}, "a whole model and an adapter.*LORA"),
        ("quantize_config.json", {"quant_method": "gptq"}, "already quantized.*gptq"),
    ],
)
def test_files_that_say_that_the_weights_are_not_the_model_are_fetched(
    fake_hub: FakeHub,
    hub: Hub,
    settings: Settings,
    name: str,
    content: dict[str, str],
    reason: str,
    cached: bool,
) -> None:
    fake_hub.files[name] = json.dumps(content).encode()
    if cached:
        cache_as_others_do(hub)
    for _ in range(2):
        with pytest.raises(SourceError, match=reason):
            resolve(REPO, settings, hub=hub)


CONFIG_CODE = b"""
from transformers import LlamaConfig

from .novel_names import MODEL_TYPE

class NovelConfig(LlamaConfig):
    model_type = MODEL_TYPE
"""
MODEL_CODE = b"""
from transformers import LlamaForCausalLM

from .configuration_novel import NovelConfig

class NovelForCausalLM(LlamaForCausalLM):
    config_class = NovelConfig
"""


@pytest.fixture
def hub_with_code(fake_hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Publishes a model whose classes come with it; returns its Python files."""
    # Where transformers copies such code to.
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    auto_map = {
        "AutoConfig": "configuration_novel.NovelConfig",
        "AutoModelForCausalLM": "modeling_novel.NovelForCausalLM",
    }
    config = json.loads(fake_hub.files["config.json"]) | {"model_type": "novel", "auto_map": auto_map}
    fake_hub.files["config.json"] = json.dumps(config).encode()
    code = {
        "configuration_novel.py": CONFIG_CODE,
        "modeling_novel.py": MODEL_CODE,
        "novel_names.py": b"MODEL_TYPE = 'novel'\n",
    }
    fake_hub.files |= code
    return code


@pytest.mark.parametrize("cached", ["nothing", "all but code", "all but what the code imports"])
def test_the_advice_to_trust_the_code_works_when_it_is_followed(
    fake_hub: FakeHub, hub: Hub, hub_with_code: dict[str, bytes], settings: Settings, cached: str
) -> None:
    if cached != "nothing":
        cache_as_others_do(hub)
    if cached == "all but what the code imports":
        cache_as_others_do(hub, ("configuration_novel.py", "modeling_novel.py"))
    with pytest.raises(UntrustedSource, match="--trust-remote-code"):
        resolve(REPO, settings, hub=hub)
    source = resolve(REPO, settings, hub=hub, trust_remote_code=True)
    assert source.config.model_type == "novel"
    assert source.weights.names()
    fake_hub.requests.clear()
    assert resolve(REPO, settings, hub=hub, trust_remote_code=True).info == source.info
    assert not fake_hub.requests


@pytest.mark.parametrize("lacking", ["configuration_novel.py", "modeling_novel.py", "novel_names.py"])
def test_code_that_a_repository_lacks_is_named(
    fake_hub: FakeHub, hub: Hub, hub_with_code: dict[str, bytes], settings: Settings, lacking: str
) -> None:
    del fake_hub.files[lacking]
    with pytest.raises(SourceCorrupt, match=lacking.removesuffix(".py")) as caught:
        resolve(REPO, settings, hub=hub, trust_remote_code=True)
    assert "*.py" in str(caught.value.next_step)


def test_closed_port_is_reported_quickly(tmp_path: Path, settings: Settings) -> None:
    started = time.monotonic()
    with pytest.raises(HubUnreachable, match="cannot be reached"):
        resolve(REPO, settings, hub=Hub("http://127.0.0.1:9", tmp_path / "hub"))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("read", [resolve, add_entry])
def test_a_word_that_is_near_a_model_of_the_catalogue_is_met_with_it(
    read: Callable[..., object], tmp_path: Path, settings: Settings
) -> None:
    for word, near in (("SmolLM2-135", "'random:SmolLM2-135M'"), ("qwen3-0.6", "'random:Qwen3-0.6B'")):
        with pytest.raises(HubUnreachable) as caught:
            read(word, settings, hub=Hub("http://127.0.0.1:9", tmp_path / "hub"))
        assert near in str(caught.value.next_step)


def test_silent_server_is_given_up_within_seconds(tmp_path: Path, settings: Settings) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        hub = Hub(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path / "hub")
        started = time.monotonic()
        with pytest.raises(HubUnreachable):
            resolve(REPO, settings, hub=hub)
        assert time.monotonic() - started < 6
