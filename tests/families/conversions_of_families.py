"""Convert a tiny config on an engine and judge it against transformers."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toolkit.artifact import MANIFEST, Artifact, file_entries
from toolkit.capture.rope import first_long_position
from toolkit.engines.onnxruntime.session import OnnxDecoder
from toolkit.errors import ToolkitError
from toolkit.evaluate.parity import threshold
from toolkit.export.convert import convert
from toolkit.export.request import ConvertRequest
from toolkit.inference.decoder import Decoder
from toolkit.models.support import Support
from toolkit.settings import Settings
from toolkit.sources import ModelSource, resolve

CONFIGS = Path(__file__).parent / "configs"
ENGINES: tuple[str, ...] = ("onnxruntime", "executorch")
PREFILL, STEPS, CHUNK = 40, 8, 16
ALLOWED = 1e-3


def tiny_source(name: str, folder: Path, settings: Settings) -> ModelSource:
    """A config with random weights."""
    file = folder / name / "config.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(CONFIGS / f"{name}.json", file)
    return resolve(f"random:{file}", settings)


def contents(artifact: Artifact) -> dict[str, object]:
    """All that an artifact holds, without when and how fast it was made."""
    facts = json.loads((artifact.path / MANIFEST).read_text())
    del facts["created_utc"], facts["conversion"]
    return facts | {entry.path: entry.sha256 for entry in file_entries(artifact.path)}


def contents_or_refusal(
    name: str, engine: str, folder: Path, settings: Settings, scheme: str = "fp32"
) -> dict[str, object] | str:
    """What a conversion gives: an artifact, or a typed error. All others are faults."""
    target = folder / f"{name}-{engine}-{scheme}-again"
    try:
        return contents(converted(tiny_source(name, folder, settings), engine, scheme, target, settings))
    except ToolkitError as error:
        return str(error)
    finally:
        shutil.rmtree(target, ignore_errors=True)


def converted(source: ModelSource, engine: str, scheme: str, target: Path, settings: Settings) -> Artifact:
    request = ConvertRequest.of(model=source.name, quant=scheme, backend=engine, parity_check=False)
    return convert(source, request, target, settings)


def outcome(
    name: str,
    engine: str,
    folder: Path,
    settings: Settings,
    scheme: str = "fp32",
    *,
    made: Callable[[Artifact], None] = lambda artifact: None,
) -> Support:
    """Convert, then prefill, single steps and a prefill in chunks; ``made`` sees the artifact before that."""
    target = folder / f"{name}-{engine}-{scheme}"
    found = Support(name, "", engine, scheme, "refused")
    try:
        source = tiny_source(name, folder, settings)
        found = replace(found, model_type=source.config.model_type)
        artifact = converted(source, engine, scheme, target, settings)
    except ToolkitError as error:
        reason = str(error).splitlines()[0].replace(str(folder), "").lstrip("/")
        return replace(found, reason=reason.removeprefix(f"random-{name}: ").removeprefix(f"random:/{name}/"))
    try:
        made(artifact)
        ids = np.random.default_rng(7).integers(3, source.config.vocab_size, PREFILL + STEPS).tolist()
        try:
            # Longrope's tables are made for the whole context, whatever the text's length.
            start = first_long_position(source.config, artifact.manifest.context_length)
            expected = _transformers_logits(source, ids, start)[PREFILL - 1 :]
        except (RuntimeError, ValueError, TypeError, AttributeError, ImportError, KeyError) as error:
            return replace(
                found, outcome="unjudged", reason=f"transformers: {str(error).splitlines()[0][:120]}"
            )
        if expected.std() < 0.05:
            return replace(found, outcome="unjudged", reason="its logits hardly depend on anything")
        with decoder(engine, artifact.path) as loaded:
            difference, divergence = _difference(loaded, ids, expected)
    finally:
        shutil.rmtree(target, ignore_errors=True)
    if scheme == "fp32":
        right = difference <= ALLOWED
        return replace(found, outcome="converts" if right else "wrong", difference=float(f"{difference:.1e}"))
    stored = artifact.manifest.quantization
    specs = (stored.linear, stored.embedding, stored.lm_head, *stored.overrides.values())
    right = divergence <= threshold(specs).mean_kl
    return replace(found, outcome="converts" if right else "coarse", divergence=float(f"{divergence:.1e}"))


def _difference(loaded: Decoder, ids: list[int], expected: torch.Tensor) -> tuple[float, float]:
    """Largest difference of a logit, and mean divergence in nats."""
    rows = torch.cat([loaded.step(ids[:PREFILL])[-1:], *(loaded.step([token]) for token in ids[PREFILL:])])
    differences = [(rows - expected).abs().max()]
    loaded.reset()
    for start in range(0, PREFILL, CHUNK):
        chunk = loaded.step(ids[start : min(start + CHUNK, PREFILL)])
    differences.append((chunk[-1] - expected[0]).abs().max())
    ours, theirs = rows.double().log_softmax(-1), expected.double().log_softmax(-1)
    divergence = (theirs.exp() * (theirs - ours)).sum(-1).mean().clamp_min(0)
    return float(torch.stack(differences).max()), float(divergence)


def transformers_model(source: ModelSource) -> Any:
    """The source's model with transformers' plainest attention and experts."""
    from transformers import AutoModelForCausalLM

    # Falcon's plain attention adds ALiBi twice (transformers 5.23), the one it has by default once.
    attention = None if source.config.model_type == "falcon" else "eager"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: Any = AutoModelForCausalLM.from_config(
            source.config,
            dtype=torch.float32,
            attn_implementation=attention,
            experts_implementation="eager",
        )
    # xIELU makes its factors in bfloat16, whatever the model is made in (transformers 5.23).
    model.float()
    weights = {name: source.weights.read(name) for name in source.weights.names()}
    model.load_state_dict(weights, strict=False)
    model.tie_weights()
    return model.eval()


def _transformers_logits(source: ModelSource, ids: list[int], start: int) -> torch.Tensor:
    """The whole text at once."""
    model = transformers_model(source)
    positions = {"position_ids": torch.arange(start, start + len(ids))[None]} if start else {}
    with torch.no_grad():
        logits: torch.Tensor = model(torch.tensor([ids]), use_cache=False, **positions).logits[0]
    return logits.to(torch.float32)


@contextmanager
def decoder(engine: str, folder: Path) -> Iterator[Decoder]:
    """What was converted, in its engine."""
    if engine == "onnxruntime":
        yield OnnxDecoder(folder / "model.onnx", PREFILL + STEPS)
    else:
        from toolkit.engines.executorch.session import ExecutorchDecoder

        yield ExecutorchDecoder(folder / "model.pte")
