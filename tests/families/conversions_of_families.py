"""Convert a tiny config on an engine and judge it against transformers."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toolkit.engines.onnxruntime.session import OnnxDecoder
from toolkit.errors import ToolkitError
from toolkit.export.convert import convert
from toolkit.export.request import ConvertRequest
from toolkit.inference.decoder import Decoder
from toolkit.settings import Settings
from toolkit.sources import ModelSource, resolve

CONFIGS = Path(__file__).parent / "configs"
ENGINES: tuple[str, ...] = ("onnxruntime", "executorch")
PREFILL, STEPS, CHUNK = 40, 8, 16
ALLOWED = 1e-3


@dataclass(frozen=True)
class Outcome:
    """What became of a config on an engine.

    Attributes:
        kind: "converts", "wrong" (converts, and says something else than transformers), "refused", or
            "unjudged": converts, but transformers itself does not run it.
        text: largest difference of a logit, or the reason.
    """

    kind: str
    text: str


def tiny_source(name: str, folder: Path, settings: Settings) -> ModelSource:
    """A config with random weights."""
    file = folder / name / "config.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(CONFIGS / f"{name}.json", file)
    return resolve(f"random:{file}", settings)


def outcome(name: str, engine: str, folder: Path, settings: Settings) -> Outcome:
    """Convert to fp32, then prefill, single steps and a prefill in chunks."""
    target = folder / f"{name}-{engine}"
    try:
        source = tiny_source(name, folder, settings)
        request = ConvertRequest.of(model=source.name, quant="fp32", backend=engine, parity_check=False)
        artifact = convert(source, request, target, settings)
    except ToolkitError as error:
        reason = str(error).splitlines()[0].replace(str(folder), "").lstrip("/")
        return Outcome("refused", reason.removeprefix(f"random-{name}: "))
    try:
        ids = np.random.default_rng(7).integers(3, source.config.vocab_size, PREFILL + STEPS).tolist()
        try:
            expected = _transformers_logits(source, ids)[PREFILL - 1 :]
        except (RuntimeError, ValueError, TypeError, AttributeError, ImportError, KeyError) as error:
            return Outcome("unjudged", f"transformers: {str(error).splitlines()[0][:120]}")
        if expected.std() < 0.05:
            return Outcome("unjudged", "its logits hardly depend on anything")
        with decoder(engine, artifact.path) as loaded:
            difference = _difference(loaded, ids, expected)
    finally:
        shutil.rmtree(target, ignore_errors=True)
    return Outcome("converts" if difference <= ALLOWED else "wrong", f"{difference:.1e}")


def _difference(loaded: Decoder, ids: list[int], expected: torch.Tensor) -> float:
    rows = [loaded.step(ids[:PREFILL])[-1:], *(loaded.step([token]) for token in ids[PREFILL:])]
    differences = [(torch.cat(rows) - expected).abs().max()]
    loaded.reset()
    for start in range(0, PREFILL, CHUNK):
        chunk = loaded.step(ids[start : min(start + CHUNK, PREFILL)])
    differences.append((chunk[-1] - expected[0]).abs().max())
    return float(torch.stack(differences).max())


def _transformers_logits(source: ModelSource, ids: list[int]) -> torch.Tensor:
    """The whole text at once, by transformers' plainest attention."""
    from transformers import AutoModelForCausalLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: Any = AutoModelForCausalLM.from_config(
            source.config, dtype=torch.float32, attn_implementation="eager"
        )
    weights = {name: source.weights.read(name) for name in source.weights.names()}
    model.load_state_dict(weights, strict=False)
    model.tie_weights()
    model.eval()
    with torch.no_grad():
        logits: torch.Tensor = model(torch.tensor([ids]), use_cache=False).logits[0]
    return logits.to(torch.float32)


@contextmanager
def decoder(engine: str, folder: Path) -> Iterator[Decoder]:
    """What was converted, in its engine."""
    if engine == "onnxruntime":
        yield OnnxDecoder(folder / "model.onnx", PREFILL + STEPS)
    else:
        from toolkit.engines.executorch.session import ExecutorchDecoder

        yield ExecutorchDecoder(folder / "model.pte")
