"""What other programs left in the hub's cache is completed, and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_hub import COMMIT, REPO, FakeHub, cache_as_others_do

from toolkit.errors import SourceError
from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.sources.base import ModelSource
from toolkit.sources.hub import Hub


def test_half_cached_model_is_completed(fake_hub: FakeHub, hub: Hub, settings: Settings) -> None:
    from huggingface_hub import hf_hub_download

    hf_hub_download(REPO, "config.json", revision=COMMIT, cache_dir=hub.cache_dir, endpoint=hub.endpoint)
    assert resolve(REPO, settings, hub=hub, revision=COMMIT).info.kind == "hub"


def written_tokenizer(source: ModelSource, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    source.write_tokenizer(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


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
