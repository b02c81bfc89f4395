"""Damaged and odd folders: we read the config and the weights that transformers reads, or refuse in words."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from model_folders import edit_config, write_folder
from model_mutants import mutate_model
from transformers.utils import logging

from toolkit.errors import ToolkitError
from toolkit.settings import Settings
from toolkit.sources import ModelSource, resolve

# What a config says about a file or a run, not about the model.
_NOT_OF_THE_MODEL = {
    *(
        "_name_or_path",
        "transformers_version",
        "architectures",
        "dtype",
        "torch_dtype",
        "use_cache",
        "auto_map",
    ),
    *("quantization_config", "transformers_weights"),
}


def by_transformers(folder: Path) -> Any | None:
    """The model; None where transformers cannot load it, or makes up what is missing."""
    from transformers import AutoModelForCausalLM

    try:
        model, told = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
        )
    except Exception:
        return None
    made_up = told["missing_keys"] or told.get("mismatched_keys") or told.get("error_msgs")
    return None if made_up else model


def by_us(folder: Path, settings: Settings) -> tuple[ModelSource, dict[str, torch.Tensor]]:
    source = resolve(str(folder), settings)
    return source, {name: source.weights.read(name) for name in source.weights.names()}


def compare(folder: Path, settings: Settings) -> str:
    """Assert that we read what transformers reads, or refuse in words; says which it was."""
    try:
        source, ours = by_us(folder, settings)
    except ToolkitError as error:
        assert error.subject and error.next_step, error
        return "refused"
    model = by_transformers(folder)
    if model is None:
        # The judge of a conversion is that model: there is none.
        return "without a judge"
    theirs = model.state_dict()
    if model.config.get_text_config(decoder=True).tie_word_embeddings:
        theirs.pop("lm_head.weight", None) if "lm_head.weight" not in ours else None
    # An own head that equals the embedding may stand for both.
    assert {name for name in theirs if name != "lm_head.weight"} <= {*ours, "lm_head.weight"}
    for name, values in ours.items():
        assert torch.equal(values.nan_to_num(7.0), theirs[name].to(torch.float32).nan_to_num(7.0)), name
    if "lm_head.weight" not in ours:
        head, embedding = model.lm_head.weight, model.model.embed_tokens.weight
        assert torch.equal(head.nan_to_num(7.0), embedding.nan_to_num(7.0))
    their_config = model.config.get_text_config(decoder=True).to_dict()
    our_config = source.config.to_dict()
    different = {
        key
        for key in their_config.keys() | our_config.keys()
        if key not in _NOT_OF_THE_MODEL and str(their_config.get(key)) != str(our_config.get(key))
    }
    assert different <= {"tie_word_embeddings"}, different
    return "equal"


def check_mutants(seed: int, count: int, place: Path, settings: Settings) -> dict[str, int]:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    rng = random.Random(seed)
    outcomes: dict[str, int] = {}
    whole = place / "whole"
    write_folder(whole, settings, "llama-tiny")
    edit_config(whole, num_hidden_layers=2)
    for number in range(count):
        folder = place / "mutant"
        shutil.copytree(whole, folder)
        what = mutate_model(folder, rng)
        try:
            outcome = compare(folder, settings)
        except BaseException as error:
            error.add_note(f"mutant {number} of seed {seed}: {what}")
            raise
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        shutil.rmtree(folder)
    assert min(outcomes.get(one, 0) for one in ("equal", "refused")) > count // 10, outcomes
    return outcomes


@pytest.mark.filterwarnings("ignore")  # of transformers, about what it reads
def test_mutants_of_models_are_read_alike_or_refused(tmp_path: Path, settings: Settings) -> None:
    check_mutants(1, 60, tmp_path, settings)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore")
def test_two_thousand_mutants_of_models_are_read_alike_or_refused(tmp_path: Path, settings: Settings) -> None:
    check_mutants(2, 2000, tmp_path, settings)
