"""Repositories with code and pickled weights: nothing of it runs before it is trusted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from fake_hub import REPO, FakeHub, cache_as_others_do

from toolkit.errors import SourceCorrupt, UntrustedSource
from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.sources.hub import Hub


def test_pickled_weights_need_trust(fake_hub: FakeHub, hub: Hub, settings: Settings) -> None:
    fake_hub.files["pytorch_model.bin"] = fake_hub.files.pop("model.safetensors")
    with pytest.raises(UntrustedSource, match="--trust-remote-code"):
        resolve(REPO, settings, hub=hub)
    assert not any("pytorch_model.bin" in request for request in fake_hub.requests)


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
