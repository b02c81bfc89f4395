"""One config for each mechanism in the runtimes as their makers publish them, without our session code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from conversions_of_families import tiny_source, transformers_model
from test_families_mechanisms import EXPERTS, MECHANISMS

from toolkit.export.convert import convert
from toolkit.export.request import ConvertRequest
from toolkit.settings import Settings
from toolkit.sources import ModelSource

PROMPT, TOKENS = 12, 10
# A recurrence, a short convolution and attention in one.
QUICK = "lfm2"
OTHERS = [name for name in (*MECHANISMS.values(), *EXPERTS.values()) if name != QUICK]
ONNX_TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


def transformers_tokens(source: ModelSource, prompt: list[int]) -> list[int]:
    model = transformers_model(source)
    ids = list(prompt)
    for _ in range(TOKENS):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def onnxruntime_tokens(folder: Path, prompt: list[int]) -> list[int]:
    """States with room for the text, zero at first; what a call gives is what the next one takes."""
    session: Any = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    inputs = {item.name: item for item in session.get_inputs()}
    outputs = [item.name for item in session.get_outputs()]
    room = len(prompt) + TOKENS
    states = {
        name: np.zeros(
            (1, *(size if isinstance(size, int) else room for size in item.shape[1:])), ONNX_TYPES[item.type]
        )
        for name, item in inputs.items()
        if name.startswith("past_key_values.")
    }
    tokens: list[int] = []
    length, fed = 0, list(prompt)
    while len(tokens) < TOKENS:
        length += len(fed)
        given = {
            "input_ids": np.array([fed], np.int64),
            "attention_mask": np.ones((1, length), np.int64),
            "position_ids": np.arange(length - len(fed), length, dtype=np.int64)[None],
        }
        given = {name: value for name, value in given.items() if name in inputs}
        found = dict(zip(outputs, session.run(None, given | states), strict=True))
        states = {name: found[name.replace("past_key_values.", "present.")] for name in states}
        tokens.append(int(found["logits"][0, -1].argmax()))
        fed = tokens[-1:]
    return tokens


def executorch_tokens(folder: Path, prompt: list[int]) -> list[int]:
    """Token ids and the position of the first, as the official runner gives them."""
    from executorch.runtime import Runtime

    method: Any = Runtime.get().load_program(folder / "model.pte").load_method("forward")
    tokens: list[int] = []
    length, fed = 0, list(prompt)
    while len(tokens) < TOKENS:
        [logits] = method.execute([torch.tensor([fed]), torch.tensor([length])])
        tokens.append(int(logits[0, -1].argmax()))
        length += len(fed)
        fed = tokens[-1:]
    return tokens


RUNTIMES = {"onnxruntime": onnxruntime_tokens, "executorch": executorch_tokens}


def tokens_of_both(source: ModelSource, engine: str, artifact: Path) -> tuple[list[int], list[int]]:
    """The official runtime's, and transformers'."""
    prompt = np.random.default_rng(3).integers(3, source.config.vocab_size, PROMPT).tolist()
    return RUNTIMES[engine](artifact, prompt), transformers_tokens(source, prompt)


def assert_same_tokens(name: str, engine: str, folder: Path, settings: Settings) -> None:
    source = tiny_source(name, folder, settings)
    request = ConvertRequest.of(model=source.name, quant="fp32", backend=engine, parity_check=False)
    artifact = convert(source, request, folder / "artifact", settings)
    ours, theirs = tokens_of_both(source, engine, artifact.path)
    assert ours == theirs


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("engine", RUNTIMES)
def test_greedy_tokens_are_those_of_transformers(engine: str, tmp_path: Path, settings: Settings) -> None:
    assert_same_tokens(QUICK, engine, tmp_path, settings)


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("engine", RUNTIMES)
@pytest.mark.parametrize("name", OTHERS)
def test_greedy_tokens_of_other_mechanisms_are_those_of_transformers(
    name: str, engine: str, tmp_path: Path, settings: Settings
) -> None:
    assert_same_tokens(name, engine, tmp_path, settings)
