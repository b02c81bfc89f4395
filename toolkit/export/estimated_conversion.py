"""What a conversion would give, without weights: from the graph, or from a catalogue's facts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from toolkit.capture.cached import cached_capture
from toolkit.capture.description import describe
from toolkit.capture.shape import decoder_shape
from toolkit.capture.skeleton import build_skeleton, tied_names
from toolkit.compress.adaptation import check_supported
from toolkit.engines import ENGINES
from toolkit.errors import UnsupportedModel, UsageError
from toolkit.estimate.estimate import CHUNK_TOKENS, Estimate, estimate
from toolkit.estimate.stored import stored_matrices
from toolkit.export.context import context_length
from toolkit.export.quantization import check_request, plan_of
from toolkit.export.request import ConvertRequest
from toolkit.files import expanded
from toolkit.models.catalogue.catalogue import catalogue_for
from toolkit.models.catalogue.entry import Entry
from toolkit.models.facts_shape import shape_of_entry
from toolkit.models.shape import DecoderShape
from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.sources.demo_wheel import DEMO
from toolkit.sources.folder_source import config_fields, config_from_fields
from toolkit.sources.gguf.recognition import is_gguf
from toolkit.sources.hub import Hub
from toolkit.sources.resolution import check_hub_id

if TYPE_CHECKING:
    from toolkit.sources import ModelSource

_DEFAULT_PROMPT = 512


@dataclass(frozen=True)
class EstimatedConversion:
    """An estimate and what it is of.

    Attributes:
        name: the model's.
        backend: the engine's name.
        quant: as requested.
        context: tokens that the artifact is made for.
        basis: "graph": the traced model; "facts": the catalogue's numbers, for a model that cannot be traced.
        scheme: of the decoder's linears.
        estimate: the figures.
    """

    name: str
    backend: str
    quant: str
    context: int
    basis: Literal["graph", "facts"]
    scheme: str
    estimate: Estimate


def estimate_conversion(
    request: ConvertRequest,
    settings: Settings,
    *,
    text: int | None = None,
    prompt_tokens: int | None = None,
    chunk_tokens: int = CHUNK_TOKENS,
) -> EstimatedConversion:
    """Estimate what a conversion would give and what running it would take; no weights are read or fetched.

    Args:
        request: the conversion; its model may also be a name of the catalogue.
        settings: where captures and own catalogue entries are.
        text: tokens in the cache; the context length by default.
        prompt_tokens: of the prefill; 512 or the text by default.
        chunk_tokens: most of them in one call.

    Raises:
        SourceError: no such model.
        CompressError: a quantization that cannot be done.
        UnsupportedModel: cannot be traced, and no facts are known.
        UsageError: more tokens than the context, or integers that only the file knows.
    """
    check_request(request)
    return estimate_of(
        found_decoder(request, settings),
        request,
        text=text,
        prompt_tokens=prompt_tokens,
        chunk_tokens=chunk_tokens,
    )


def estimate_of(
    found: FoundDecoder,
    request: ConvertRequest,
    *,
    text: int | None = None,
    prompt_tokens: int | None = None,
    chunk_tokens: int = CHUNK_TOKENS,
) -> EstimatedConversion:
    """As :func:`estimate_conversion`, of a decoder that was found already: many requests of one model."""
    shape, engine = found.shape, ENGINES.get(request.backend)
    context = context_length(request.context, shape.longest, subject=found.name)
    text = context if text is None else text
    prompt_tokens = min(_DEFAULT_PROMPT, text) if prompt_tokens is None else prompt_tokens
    if not 1 <= prompt_tokens <= text <= context:
        raise UsageError(
            f"{prompt_tokens} prompt tokens, {text} in the cache and a context of {context} do not fit "
            "each other",
            subject=found.name,
            next_step="Give at most as many prompt tokens as in the cache, and these within --context.",
        )
    plan = plan_of(request, tied=shape.tied)
    if plan.carry_over == "all":
        raise UsageError(
            "--quant source keeps what the file holds, which is known once it is read",
            subject=found.name,
            next_step="Estimate with a scheme or a preset, or convert it and look at the manifest.",
        )
    check_supported(plan, engine)
    stored = stored_matrices(shape, plan, engine, group_size_asked=request.group_size is not None)
    figures = estimate(
        shape,
        stored,
        engine,
        context=context,
        text=text,
        prompt_tokens=prompt_tokens,
        tokenizer_bytes=found.tokenizer_bytes,
        chunk_tokens=chunk_tokens,
    )
    return EstimatedConversion(
        name=found.name,
        backend=request.backend,
        quant=request.quant,
        context=context,
        basis=found.basis,
        scheme=plan.linear.scheme,
        estimate=figures,
    )


@dataclass(frozen=True)
class FoundDecoder:
    """A model as sizes.

    Attributes:
        name: the model's.
        shape: its sizes.
        basis: see :class:`EstimatedConversion`.
        tokenizer_bytes: of the tokenizer's files; None where they are not at hand.
    """

    name: str
    shape: DecoderShape
    basis: Literal["graph", "facts"]
    tokenizer_bytes: int | None = None


def found_decoder(request: ConvertRequest, settings: Settings) -> FoundDecoder:
    """The sizes of the model that a request names; no weights are read or fetched.

    Raises:
        SourceError: no such model.
        UnsupportedModel: cannot be traced, and no facts are known.
    """
    model, path = request.model, expanded(request.model)
    local = model.startswith("random:") or is_gguf(path) or path.is_dir()
    if local or model == DEMO.model_name:
        source = resolve(
            model, settings, offline=request.offline, trust_remote_code=request.trust_remote_code
        )
        return decoder_of(source, settings)
    entry = _entry(model, settings)
    if entry is not None:
        return _of_entry(entry, settings)
    check_hub_id(model)
    file = Hub().config_file(model, revision=request.revision, offline=request.offline)
    config = config_from_fields(config_fields(file.parent), file.parent)
    return FoundDecoder(model.rpartition("/")[2], _traced(config, settings), "graph")


def _entry(model: str, settings: Settings) -> Entry | None:
    """By its name or by its id on the hub."""
    known = catalogue_for(model, settings.models_dir)
    if model in known:
        return known[model]
    return next((one for one in known.values() if one.hub_id == model), None)


def _of_entry(entry: Entry, settings: Settings) -> FoundDecoder:
    refusal: UnsupportedModel | None = None
    if entry.config is not None:
        try:
            config = config_from_fields(entry.config, Path(entry.name))
            return FoundDecoder(entry.name, _traced(config, settings), "graph")
        except UnsupportedModel as error:
            refusal = error
    shape = shape_of_entry(entry)
    if shape is not None:
        return FoundDecoder(entry.name, shape, "facts")
    raise refusal or UnsupportedModel(
        f"the catalogue knows too little of it: {entry.config_note}",
        subject=entry.name,
        next_step="`slm models list --buildable` shows those that can be built.",
    )


def decoder_of(source: ModelSource, settings: Settings) -> FoundDecoder:
    """The sizes of a model that was opened, its tokenizer's files weighed."""
    with TemporaryDirectory() as scratch:
        files = source.write_tokenizer(Path(scratch))
        size = sum((Path(scratch) / name).stat().st_size for name in files.names)
    return FoundDecoder(source.name, _traced(source.config, settings), "graph", size)


def _traced(config: Any, settings: Settings) -> DecoderShape:
    model = build_skeleton(config)
    graph, _ = cached_capture(model, config, settings.cache_dir)
    return decoder_shape(graph, describe(graph), tied_names(model), config)
