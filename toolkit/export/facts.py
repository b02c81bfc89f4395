"""What the manifest says about a model and about the conversion."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import toolkit
from toolkit.artifact import Architecture, Quantization, WorkPerToken
from toolkit.capture.graph import DecoderGraph
from toolkit.capture.latent import expanding_matrices
from toolkit.capture.shape import longest_text, residual_width
from toolkit.compress.plan import EXACT, QuantizationPlan
from toolkit.engines.spec import EngineSpec
from toolkit.estimate.stored import quantized_as
from toolkit.export.lowering import LoweredModel
from toolkit.models.layers import Layer
from toolkit.models.shape import DecoderShape


def architecture(
    config: Any, graph: DecoderGraph, layers: Sequence[Layer], model: LoweredModel, tied: Mapping[str, str]
) -> Architecture:
    """Facts about the decoder, from the graph where it knows and from the config where only that does."""
    stored = {tied.get(name, name): shape for name, shape in graph.parameters.items()}
    # The trace knows what is tied by one of its names, whichever the model registers last.
    sizes = {name: torch.Size(shape).numel() for name, shape in stored.items()}
    unique = sum(sizes.values())
    return Architecture(
        model_type=config.model_type,
        hidden_size=residual_width(graph, config),
        vocab_size=config.vocab_size,
        # None: the positions are relative, and any text is as good as a short one.
        max_positions=longest_text(config),
        tied_embeddings=bool(tied),
        unique_parameters=unique,
        stored_parameters=unique + sum(sizes[name] for alias, name in tied.items() if alias in model.stored),
        layers=tuple(layers),
    )


def quantization(plan: QuantizationPlan, model: LoweredModel, graph: DecoderGraph) -> Quantization:
    """What was really stored: the most common spec of the linears, and by name those that differ from it.

    A matrix of latent attention is no linear of the graph, and stays in float32.
    """
    linears = {name: spec for name, spec in model.stored.items() if model.roles[name] == "linear"}
    vocabulary = {role: model.stored[name] for name, role in model.roles.items() if role != "linear"}
    common = Counter(linears.values()).most_common(1)[0][0] if linears else plan.linear
    expanding = dict.fromkeys(expanding_matrices(graph), EXACT)
    return Quantization(
        preset=plan.preset,
        linear=common,
        embedding=vocabulary.get("embedding", plan.embedding),
        lm_head=vocabulary.get("lm_head", plan.lm_head),
        overrides={name: spec for name, spec in (linears | expanding).items() if spec != common},
    )


def work(
    shape: DecoderShape, plan: QuantizationPlan, model: LoweredModel, engine: EngineSpec
) -> WorkPerToken:
    """What a token takes, with the quantization that each matrix really got."""
    by_role = {
        model.roles[name]: spec for name, spec in model.stored.items() if model.roles[name] != "linear"
    }
    stored = quantized_as(
        shape,
        replace(
            plan,
            overrides=tuple(model.stored.items()),
            parts=(),
            embedding=by_role.get("embedding", plan.embedding),
            lm_head=by_role.get("lm_head", by_role.get("embedding", plan.lm_head)),
        ),
    )
    return WorkPerToken(
        decode_weights_bytes=engine.storage.resident(shape, stored, tokens=1).decode_bytes,
        prefill_flops_per_token=round(shape.flops_per_token),
    )


def special_tokens(folder: Path) -> dict[str, Any]:
    """bos, eos and pad token ids, where there are such: the written generation config alone decides."""
    fields = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    keys = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {key: fields[key] for key in keys if fields.get(key) is not None}


def peak_rss_bytes() -> int:
    """Largest resident size of this process, and of those that it has waited for, so far."""
    import resource

    # Linux reports kilobytes, macOS bytes.
    scale = 1 if platform.system() == "Darwin" else 1024
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(one).ru_maxrss for one in who) * scale


def version(package: str) -> str:
    """Installed version of a package."""
    return importlib.metadata.version(package)


def tool_versions(engine: Sequence[str]) -> dict[str, str]:
    """Versions of everything that has a say in the artifact's bytes, the engine's packages included."""
    packages = ("torch", "transformers", *engine)
    return {
        "slm-toolkit": toolkit.__version__,
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }
