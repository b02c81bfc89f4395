"""The conversion: source -> capture -> quantized ONNX -> parity -> artifact folder."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

import toolkit
from toolkit import progress
from toolkit.artifact import (
    Architecture,
    Artifact,
    Backend,
    Conversion,
    GreedyReference,
    Manifest,
    Parity,
    Quantization,
    check_target,
    file_entries,
    publish,
    staging,
)
from toolkit.compress.plan import QuantizationPlan
from toolkit.errors import ContextTooLong, MissingWeights, ParityFailed, UsageError
from toolkit.export import parity
from toolkit.export.capture import cached_capture
from toolkit.export.graph import DecoderGraph
from toolkit.export.onnx.export import OnnxModel, write_onnx
from toolkit.export.onnx.genai_config import write_genai_config
from toolkit.export.onnx.session import OnnxDecoder
from toolkit.export.patches import register_attention
from toolkit.export.reference import reference_logits
from toolkit.export.rope import rope_table
from toolkit.export.skeleton import build_skeleton, tied_names
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.sources import ModelSource

# Long enough for a chat on a phone; models trained for less get less.
DEFAULT_CONTEXT = 4096
DEFAULT_OPSET = 21
OLDEST_OPSET = 20


@dataclass(frozen=True)
class ConvertOptions:
    """What the user asked for.

    Attributes:
        plan: quantization of every tensor.
        label: names the quantization in the artifact's name, e.g. ``8da4w-g32-hqq``.
        context_length: tokens of prompt and answer together; None means DEFAULT_CONTEXT or the model's limit.
        logits: "all" keeps every position, for evaluation.
        opset: ONNX operator set.
        check_parity: whether a failed threshold fails the conversion.
    """

    plan: QuantizationPlan
    label: str
    context_length: int | None = None
    logits: Literal["last", "all"] = "last"
    opset: int = DEFAULT_OPSET
    check_parity: bool = True


@dataclass
class _Stages:
    """Times the stages and tells the user about them."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        with progress.stage(name):
            yield
        self.seconds[name] = round(time.monotonic() - started, 3)


def convert(
    source: ModelSource, options: ConvertOptions, output: Path, settings: Settings, *, overwrite: bool = False
) -> Artifact:
    """Convert a model and publish the artifact folder.

    Nothing is left behind when this raises, and an artifact that is being replaced stays until the new one
    is complete.

    Raises:
        SourceError, CompressError, ExportError, ArtifactError: see toolkit.errors.
    """
    started = time.monotonic()
    check_target(output, overwrite=overwrite)
    if not OLDEST_OPSET <= options.opset <= _newest_opset():
        raise UsageError(f"--opset {options.opset}: {OLDEST_OPSET} to {_newest_opset()} are possible")
    context = _context_length(source, options.context_length)
    stages = _Stages()
    with stages("capture"):
        register_attention()
        model = build_skeleton(source.config, attention="slm")
        tied = tied_names(model)
        graph, cached = cached_capture(model, source.config, settings.cache_dir)
        _check_weights(source, graph, tied)
    with staging(output, overwrite=overwrite) as folder:
        with stages("quantize and write"):
            onnx_model = write_onnx(
                folder,
                graph,
                source.weights,
                options.plan,
                rope_tables=lambda name: rope_table(model, name, context),
                tied=tied,
                all_logits=options.logits == "all",
                opset=options.opset,
                name=source.name,
                context_length=context,
            )
            tokenizer = source.write_tokenizer(folder)
            architecture = _architecture(source, graph, onnx_model, tied)
            write_genai_config(
                folder,
                architecture,
                context_length=context,
                has_position_ids=onnx_model.has_position_ids,
                tokens=_special_tokens(folder, source.config),
            )
        del model
        with stages("check parity"):
            agreement, greedy = _parity(source, folder, tied, onnx_model, context, options)
        _enforce(agreement, source, options)
        with stages("hash and publish"):
            files = file_entries(folder)
            manifest = Manifest(
                schema="slm-artifact/1",
                name=f"{source.name}-onnx-{options.label}",
                created_utc=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                source=source.info,
                architecture=architecture,
                backend=Backend(name="onnxruntime", version=_version("onnxruntime"), opset=options.opset),
                quantization=_quantization(options.plan, onnx_model, tied),
                context_length=context,
                logits=options.logits,
                model_file="model.onnx",
                tokenizer_files=list(tokenizer.names),
                chat_template_file=tokenizer.chat_template,
                files=files,
                parity=agreement,
                greedy_reference=greedy,
                conversion=Conversion(
                    seconds=round(time.monotonic() - started, 3),
                    peak_rss_bytes=_peak_rss_bytes(),
                    capture_cached=cached,
                    stage_seconds=stages.seconds,
                ),
                tools=_tool_versions(),
            )
            return publish(folder, output, manifest)


def _context_length(source: ModelSource, asked: int | None) -> int:
    limit = getattr(source.config, "max_position_embeddings", None)
    if asked is None:
        return min(DEFAULT_CONTEXT, limit or DEFAULT_CONTEXT)
    if asked < 1:
        raise UsageError(f"--context {asked}: at least 1 token")
    if limit is not None and asked > limit:
        raise ContextTooLong(
            f"context {asked} is longer than the {limit} positions the model was trained for",
            subject=source.name,
            next_step=f"Pass --context {limit} or less.",
        )
    return asked


def _check_weights(source: ModelSource, graph: DecoderGraph, tied: Mapping[str, str]) -> None:
    """Every parameter of the graph must be in the source, with the graph's shape."""
    held = set(source.weights.names())
    needed = {tied.get(name, name): shape for name, shape in graph.parameters.items()}
    missing = [name for name in needed if name not in held]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise MissingWeights(
            f"lacks {', '.join(missing[:3])}{more}",
            subject=source.name,
            next_step="Get all files of the checkpoint, or check that config and weights belong together.",
        )
    for name, shape in needed.items():
        if source.weights.shape(name) != shape:
            raise MissingWeights(
                f"{name} has shape {source.weights.shape(name)}, the configuration needs {shape}",
                subject=source.name,
                next_step="Check that config and weights belong together.",
            )


def _parity(
    source: ModelSource,
    folder: Path,
    tied: Mapping[str, str],
    onnx_model: OnnxModel,
    context: int,
    options: ConvertOptions,
) -> tuple[Parity, GreedyReference]:
    ids, prompt = parity.parity_ids(folder, source.config.vocab_size)
    length = min(len(ids[0]), context)
    ids = [text[:length] for text in ids]
    judge = build_skeleton(source.config, attention="sdpa")
    expected = reference_logits(judge, source.weights, tied, ids)
    del judge
    tokens = min(parity.GREEDY_TOKENS, context - len(prompt))
    decoder = OnnxDecoder(folder / "model.onnx", max(length, len(prompt) + tokens))
    agreement = parity.measure(expected, decoder, ids, parity.threshold(onnx_model.stored.values()))
    return agreement, parity.greedy_reference(decoder, prompt, tokens)


def _enforce(agreement: Parity, source: ModelSource, options: ConvertOptions) -> None:
    if agreement.passed or not options.check_parity:
        return
    raise ParityFailed(
        f"the artifact disagrees with transformers: mean KL {agreement.mean_kl:.4g}, "
        f"max abs diff {agreement.max_abs_diff:.4g}, allowed {agreement.threshold}",
        subject=source.name,
        next_step="Use more bits or smaller groups, or pass --no-parity-check to keep the artifact anyway.",
    )


def _architecture(
    source: ModelSource, graph: DecoderGraph, onnx_model: OnnxModel, tied: Mapping[str, str]
) -> Architecture:
    config: Any = source.config
    cache = onnx_model.caches[0]
    stored = {tied.get(name, name): shape for name, shape in graph.parameters.items()}
    heads = next(op.shape[1] for op in graph.ops if op.target == "slm.rotary" or op.target == "aten.transpose" if op.shape)
    windows = {int(op.args[5]) for op in graph.ops if op.target == "slm.attention"}
    unique = sum(torch.Size(shape).numel() for shape in stored.values())
    return Architecture(
        model_type=config.model_type,
        layers=len(onnx_model.caches),
        hidden_size=config.hidden_size,
        intermediate_size=getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None),
        heads=int(heads),
        kv_heads=cache.kv_heads,
        head_dim=cache.head_dim,
        vocab_size=config.vocab_size,
        max_positions=getattr(config, "max_position_embeddings", DEFAULT_CONTEXT),
        sliding_window=max(windows) or None,
        tied_embeddings=bool(tied),
        unique_parameters=unique,
        stored_parameters=unique,
    )


def _quantization(plan: QuantizationPlan, onnx_model: OnnxModel, tied: Mapping[str, str]) -> Quantization:
    overrides = {
        name: spec
        for name, spec in onnx_model.stored.items()
        if onnx_model.roles[name] == "linear" and spec != plan.linear
    }
    return Quantization(
        preset=plan.preset,
        linear=plan.linear,
        embedding=plan.embedding,
        lm_head=plan.lm_head,
        overrides=overrides,
    )


def _special_tokens(folder: Path, config: Any) -> dict[str, Any]:
    tokens = {key: getattr(config, key, None) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    file = folder / "generation_config.json"
    if file.is_file():
        tokens.update({key: value for key, value in json.loads(file.read_text()).items() if key in tokens})
    return tokens


def _newest_opset() -> int:
    import onnx

    return int(onnx.defs.onnx_opset_version())


def _peak_rss_bytes() -> int:
    import resource

    # Linux reports kilobytes, macOS bytes.
    scale = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def _version(package: str) -> str:
    return importlib.metadata.version(package)


def _tool_versions() -> dict[str, str]:
    packages = ("torch", "transformers", "onnx", "onnxruntime")
    return {
        "slm-toolkit": toolkit.__version__,
        "python": platform.python_version(),
        **{package: _version(package) for package in packages},
    }
