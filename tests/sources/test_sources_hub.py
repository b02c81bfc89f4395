"""The hub, spoken to by the real hub library: downloads, progress, and what is refused."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fake_hub import COMMIT, REPO, FakeHub
from model_folders import write_folder
from transformers import AutoConfig

from toolkit.errors import SourceError, SourceNotFound
from toolkit.models.catalogue.catalogue import shipped
from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.sources.catalogue_entry import add_entry
from toolkit.sources.hub import Hub, HubUnreachable


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


def test_a_folder_of_a_hub_models_name_wins_unless_the_hubs_is_known_to_be_meant(
    hub: Hub, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / REPO, settings, "gpt2-tiny")
    # The rule of from_pretrained.
    assert AutoConfig.from_pretrained(REPO).model_type == "gpt2"
    local = resolve(REPO, settings, hub=hub)
    assert (local.info.kind, local.config.model_type) == ("folder", "gpt2")
    fetched = resolve(REPO, settings, hub=hub, from_hub=True)
    assert (fetched.info.kind, fetched.config.model_type) == ("hub", "llama")
    assert resolve(REPO, settings, hub=hub, from_hub=True, revision=COMMIT).info == fetched.info


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


def test_closed_port_is_reported_quickly(tmp_path: Path, settings: Settings) -> None:
    started = time.monotonic()
    with pytest.raises(HubUnreachable, match="cannot be reached"):
        resolve(REPO, settings, hub=Hub("http://127.0.0.1:9", tmp_path / "hub"))
    assert time.monotonic() - started < 5


def test_a_network_that_fails_without_a_word_is_told_by_the_kind_of_its_error(
    hub: Hub, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks_off(*args: object, **options: object) -> None:
        raise ConnectionResetError

    for name in ("hf_hub_download", "HfApi.model_info"):
        monkeypatch.setattr(f"huggingface_hub.{name}", breaks_off)
        with pytest.raises(SourceError, match="ConnectionResetError"):
            resolve(REPO, settings, hub=hub)


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
