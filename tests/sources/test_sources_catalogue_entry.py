"""Entries derived from a checkpoint's config alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from toolkit.errors import SourceNotFound, UnsupportedModel, UsageError
from toolkit.models.catalogue.catalogue import catalogue, shipped
from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.sources.catalogue_entry import add_entry


def folder(path: Path, fields: dict[str, Any]) -> str:
    path.mkdir()
    (path / "config.json").write_text(json.dumps(fields))
    return str(path)


@pytest.mark.parametrize("name", ["SmolLM2-135M", "Gemma-3-270M", "LFM2-350M", "BLOOM-560M"])
def test_an_entry_says_what_the_shipped_one_says(tmp_path: Path, settings: Settings, name: str) -> None:
    known = shipped()[name]
    entry, file = add_entry(folder(tmp_path / "mine", dict(known.config or {})), settings)
    # bloom's config.json names the text it was trained on, which transformers drops.
    shape = known.architecture.model_copy(update={"context": entry.architecture.context})
    assert (entry.architecture, entry.parameters) == (shape, known.parameters)
    assert catalogue(settings.models_dir)["mine"] == entry and file.parent == settings.models_dir
    again = resolve("random:mine", settings)
    assert sorted(again.weights.names()) == sorted(resolve(f"random:{name}", settings).weights.names())


def test_defaults_that_a_config_leaves_out_are_written_down(tmp_path: Path, settings: Settings) -> None:
    entry, _ = add_entry(folder(tmp_path / "plain", {"model_type": "gpt2"}), settings)
    assert entry.parameters is not None and entry.parameters.unique == 124_439_808
    assert entry.config is not None and entry.config["n_layer"] == 12
    assert entry.released is None and entry.training.datasets is None


def test_the_decoder_of_a_larger_model_is_taken(tmp_path: Path, settings: Settings) -> None:
    text = dict(shipped()["gemma3-tiny"].config or {})
    fields = {
        "model_type": "gemma3",
        "architectures": ["Gemma3ForConditionalGeneration"],
        "text_config": text,
        "vision_config": {"model_type": "siglip_vision_model"},
    }
    entry, _ = add_entry(folder(tmp_path / "sees", fields), settings)
    assert entry.model_type == "gemma3_text" and entry.parameters == shipped()["gemma3-tiny"].parameters


@pytest.mark.parametrize(
    ("model_type", "architecture", "task"),
    [
        ("bert", "BertForMaskedLM", "fill-mask"),
        ("llama", "LlamaForSequenceClassification", "text-classification"),
        ("t5", "T5ForConditionalGeneration", "text2text-generation"),
    ],
)
def test_a_checkpoint_of_another_task_is_refused_with_its_name(
    tmp_path: Path, settings: Settings, model_type: str, architecture: str, task: str
) -> None:
    path = folder(tmp_path / "other", {"model_type": model_type, "architectures": [architecture]})
    with pytest.raises(UnsupportedModel, match=f"for {task} "):
        add_entry(path, settings)
    assert not settings.models_dir.exists()


def test_names_that_are_taken_are_refused(tmp_path: Path, settings: Settings) -> None:
    path = folder(tmp_path / "mine", {"model_type": "gpt2"})
    with pytest.raises(UsageError, match="has a model of this name"):
        add_entry(path, settings, name="phi-2")
    add_entry(path, settings)
    with pytest.raises(UsageError, match="--force"):
        add_entry(path, settings)
    add_entry(path, settings, replace=True)
    with pytest.raises(SourceNotFound):
        add_entry("nobody/nothing-at-all", settings, offline=True)


@pytest.mark.parametrize("model", ["./none", "random:none", "a b", "~/none", "/none"])
def test_what_is_no_place_is_refused(model: str, settings: Settings) -> None:
    with pytest.raises(SourceNotFound, match="not a hub id"):
        add_entry(model, settings)
    assert not settings.models_dir.exists() or not list(settings.models_dir.iterdir())
