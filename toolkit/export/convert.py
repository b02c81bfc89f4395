"""The conversion: source -> capture -> quantized model of one engine -> parity -> artifact folder."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from toolkit import progress
from toolkit.artifact import (
    SCHEMA,
    Artifact,
    Backend,
    Conversion,
    Manifest,
    check_target,
    file_entries,
    publish,
    staging,
)
from toolkit.calibration.matrices import calibrate
from toolkit.calibration.texts import generated, windows
from toolkit.capture.cached import cached_capture
from toolkit.capture.capture import first_position
from toolkit.capture.chosen_tokens import whole_text
from toolkit.capture.description import describe
from toolkit.capture.exported import is_parameter
from toolkit.capture.folding import fold
from toolkit.capture.graph import DecoderGraph
from toolkit.capture.parts import matrix_parts
from toolkit.capture.patterns import matrix_columns, routers
from toolkit.capture.rope import rope_table, rope_values
from toolkit.capture.shape import decoder_shape, longest_text
from toolkit.capture.skeleton import build_skeleton, tied_names
from toolkit.chat_format import ChatFormat, UnsplitChat
from toolkit.chat_template.splitting import chat_format, unsplit_in_words
from toolkit.chat_template.turns import unended_answers
from toolkit.compress.adaptation import check_supported, slowness
from toolkit.compress.fitting import Columns, fitted
from toolkit.compress.plan import QuantizationPlan, for_model, with_exact
from toolkit.compress.tensor import QuantizedTensor
from toolkit.engines import ENGINES
from toolkit.engines.spec import EngineSpec
from toolkit.errors import MissingWeights, UnsupportedModel
from toolkit.evaluate import parity
from toolkit.evaluate.verdict import in_words
from toolkit.export import facts
from toolkit.export.context import context_length
from toolkit.export.lowering import LoweringJob, lowering_for
from toolkit.export.quantization import label_of, plan_for
from toolkit.export.request import ConvertRequest
from toolkit.export.trial import try_out
from toolkit.settings import Settings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from toolkit.models.layers import Layer
    from toolkit.sources import ModelSource


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
    source: ModelSource,
    request: ConvertRequest,
    output: Path,
    settings: Settings,
    *,
    plan: QuantizationPlan | None = None,
    overwrite: bool = False,
) -> Artifact:
    """Convert a model and publish the artifact folder.

    Args:
        source: the model that the request names.
        request: what is asked for.
        output: the folder to write.
        settings: where captures are kept.
        plan: in place of the one that the request stands for.
        overwrite: replace an artifact.

    Nothing is left behind when this raises, and an artifact that is being replaced stays until the new one
    is complete.

    Raises:
        SourceError, CompressError, ExportError, ArtifactError: see toolkit.errors.
    """
    started = time.monotonic()
    check_target(output, overwrite=overwrite)
    engine = ENGINES.get(request.backend)
    plan = plan or plan_for(request, source.config)
    check_supported(plan, engine)
    with _about(source, engine):
        return _converted(source, request, output, settings, plan, engine, started, overwrite=overwrite)


def _converted(
    source: ModelSource,
    request: ConvertRequest,
    output: Path,
    settings: Settings,
    plan: QuantizationPlan,
    engine: EngineSpec,
    started: float,
    *,
    overwrite: bool,
) -> Artifact:
    lowering = lowering_for(engine)
    opset = lowering.opset(request.opset)
    stages = _Stages()
    with stages("capture"):
        captured = _captured(source, request, settings)
    model, graph, tied, context = captured.model, captured.graph, captured.tied, captured.context
    if (warning := slowness(plan, engine)) is not None:
        print(warning, file=sys.stderr)
    plan = for_model(plan, matrix_parts(graph, tied))
    plan = _fitted(with_exact(plan, routers(graph)), matrix_columns(graph, tied), engine, request)
    with staging(output, overwrite=overwrite) as folder:
        tokenizer = source.write_tokenizer(folder)
        # Texts that the model cannot read are met before the long part.
        texts = parity.parity_ids(folder, source.config.vocab_size, subject=source.name)
        chat = _chat(folder, tokenizer.chat_template)
        with (
            _calibrated(source, model, request.calibration, plan, graph, tied, folder, stages) as calibrated,
            stages("quantize and write"),
        ):
            folded = fold(
                graph, source.weights, lambda name, length: rope_values(model, name, length), context
            )
            job = LoweringJob(
                name=source.name,
                config=source.config,
                graph=folded.graph,
                layers=captured.layers,
                weights=folded.weights,
                calibrated=calibrated,
                plan=plan,
                rope_tables=lambda name: rope_table(model, name, context),
                position_tables=folded.tables,
                tied=tied,
                all_logits=request.logits == "all",
                context_length=context,
                opset=opset,
                tokens=facts.special_tokens(folder),
            )
            lowered = lowering.write(folder, job)
        with stages("check parity" if request.parity_check else "greedy reference"):
            limit = parity.threshold(lowered.stored.values()) if request.parity_check else None
            agreement, greedy = try_out(source, model, folder, texts, tied, context, limit, engine)
        with stages("hash and publish"):
            files = file_entries(folder)
            manifest = Manifest(
                schema_=SCHEMA,
                name=f"{source.name}-{engine.artifact_word}-{label_of(request, plan)}",
                created_utc=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                source=source.info,
                architecture=facts.architecture(source.config, graph, captured.layers, lowered, tied),
                backend=Backend(name=engine.name, version=facts.version(engine.package), opset=opset),
                quantization=facts.quantization(plan, lowered, graph),
                context_length=context,
                logits=request.logits,
                model_file=engine.model_file,
                tokenizer_files=list(tokenizer.names),
                chat_template_file=tokenizer.chat_template,
                files=files,
                parity=agreement,
                greedy_reference=greedy,
                conversion=Conversion(
                    seconds=round(time.monotonic() - started, 3),
                    peak_rss_bytes=facts.peak_rss_bytes(),
                    capture_cached=captured.cached,
                    stage_seconds=stages.seconds,
                ),
                tools=facts.tool_versions(engine.packages),
                runtimes=lowered.runtimes,
                work=facts.work(
                    decoder_shape(graph, captured.layers, tied, source.config), plan, lowered, engine
                ),
                request=request.recorded(),
                chat=chat,
            )
            artifact = publish(folder, output, manifest)
    # Here, where every way to a conversion ends: commands, recipes, optimum-cli, Python.
    progress.say(f"verdict: {in_words(manifest)}")
    return artifact


@dataclass(frozen=True)
class _Captured:
    """A model without its weights, and what of it does not depend on an engine.

    Attributes:
        model: the skeleton.
        graph: its operators.
        layers: what each of its layers is.
        tied: parameter -> the one that it is the same as.
        context: positions that the artifact will have.
        cached: whether the graph was there from before.
    """

    model: PreTrainedModel
    graph: DecoderGraph
    layers: tuple[Layer, ...]
    tied: Mapping[str, str]
    context: int
    cached: bool


def _captured(source: ModelSource, request: ConvertRequest, settings: Settings) -> _Captured:
    model = build_skeleton(source.config)
    longest = longest_text(source.config)
    # Numbers of positions in front of the first are no place for a token.
    places = None if longest is None else longest - first_position(model)
    context = context_length(request.context, places, subject=source.name, whole=whole_text(model))
    tied = tied_names(model)
    _take_buffers(source, model)
    graph, cached = cached_capture(model, source.config, settings.cache_dir)
    _check_weights(source, graph, tied)
    return _Captured(model, graph, describe(graph), tied, context, cached)


def _chat(folder: Path, template: str | None) -> ChatFormat | UnsplitChat | None:
    """How conversations are written, and a word to the user where they cannot be as one expects."""
    chat = chat_format(folder, template)
    if isinstance(chat, UnsplitChat):
        progress.say(unsplit_in_words(folder, template, chat))
    elif chat is not None and (unended := unended_answers(folder, chat)) is not None:
        progress.say(unended)
    return chat


@contextmanager
def _calibrated(
    source: ModelSource,
    model: PreTrainedModel,
    calibration: Path | None,
    plan: QuantizationPlan,
    graph: DecoderGraph,
    tied: Mapping[str, str],
    folder: Path,
    stages: _Stages,
) -> Iterator[Mapping[str, QuantizedTensor]]:
    """Matrices quantized for the inputs that they see, in files that are gone afterwards."""
    if not plan.calibrated:
        yield {}
        return
    if calibration is not None:
        ids = windows(calibration, folder / "tokenizer.json", source.config.vocab_size)
    else:
        with stages("write calibration text"), progress.bar("generate", unit="tokens") as report:
            ids = generated(model, source.weights, tied, source.config.vocab_size, report)
    with TemporaryDirectory(dir=folder) as scratch:
        with stages("calibrate"), progress.bar("calibrate", unit="matrices") as report:
            done = calibrate(model, graph, source.weights, plan, tied, ids, Path(scratch), report)
        yield done


@contextmanager
def _about(source: ModelSource, engine: EngineSpec) -> Iterator[None]:
    """Whoever refuses an operation deep in a graph does not know the model's name, nor what else there is."""
    try:
        yield
    except UnsupportedModel as error:
        error.subject = error.subject or source.name
        if "model type" not in error.what:
            error.what = f"model type {source.config.model_type!r}: {error.what}"
        error.next_step = error.next_step or (
            f"Choose a model of a type that docs/families.md lists for {engine.title}."
        )
        raise


def _take_buffers(source: ModelSource, model: PreTrainedModel) -> None:
    """Give a skeleton the numbers that a checkpoint stores beside its parameters.

    The capture has them as constants, and the judge that reads weights as they are needed has them from here.
    """
    held = set(source.weights.names())
    for name, values in model.named_buffers():
        if name in held and not is_parameter(values):
            values.copy_(source.weights.read(name))


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


def _fitted(
    plan: QuantizationPlan, matrices: list[Columns], engine: EngineSpec, request: ConvertRequest
) -> QuantizationPlan:
    plan, changed = fitted(plan, matrices, engine, asked=request.group_size is not None)
    if changed:
        more = ", ..." if len(changed) > 2 else ""
        print(
            f"{len(changed)} matrices have columns that groups of {plan.linear.group_size} do not divide "
            f"({', '.join(changed[:2])}{more}): they get finer groups or 8 bits per channel",
            file=sys.stderr,
        )
    return plan
