"""One model of the catalogue: facts with their sources. What is not known is None, never zero or no."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

AttentionKind = Literal["MHA", "GQA", "MQA", "MLA"]
# A number of heads or a width: one for all layers, or one for each.
PerLayer = int | tuple[int, ...]
# How far a computed count may be from a published one before the entry must say why.
COUNT_TOLERANCE = 0.005
# The same of what the name says, which makers round, and count with or without the vocabulary.
NOMINAL_TOLERANCE = 0.1

Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
Share = Annotated[float, Field(ge=0, le=1)]


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Architecture(_Facts):
    """What the layers are.

    Attributes:
        attention: how many heads share keys and values; MLA keeps a compressed row instead.
        heads: of queries; one number, or one per layer.
        kv_heads: of keys and values.
        head_dim: of queries and keys.
        feed_forward: "gated" multiplies two projections, "dense" has one.
        intermediate_size: width of one projection, even where a config gives the sum of two.
        norm: as in the survey, with what is unusual in brackets.
        positions: ``rope``, ``learned``, ``alibi``, ``none``.
        rotary_fraction: share of each head that turns.
        window: tokens that the layers with a window see.
        context: the longest text it was made for.
        other_mixers: what stands in place of attention in some layers.
    """

    attention: AttentionKind | None = None
    layers: int | None = None
    hidden_size: int | None = None
    heads: PerLayer | None = None
    kv_heads: PerLayer | None = None
    head_dim: int | None = None
    feed_forward: Literal["gated", "dense"] | None = None
    intermediate_size: PerLayer | None = None
    activation: str | None = None
    norm: str | None = None
    positions: str | None = None
    rotary_fraction: Share | None = None
    vocabulary: int | None = None
    tied_embeddings: bool | None = None
    window: int | None = None
    context: int | None = None
    other_mixers: str | None = None

    @property
    def feed_forward_ratio(self) -> float | None:
        """Width of the feed-forward over the hidden size; the mean where layers differ."""
        if self.intermediate_size is None or self.hidden_size is None:
            return None
        widths = (
            (self.intermediate_size,) if isinstance(self.intermediate_size, int) else self.intermediate_size
        )
        return sum(widths) / len(widths) / self.hidden_size

    def kv_cache_bytes(self, context: int, *, element_bytes: int = 2) -> int | None:
        """Keys and values of every layer after ``context`` tokens; None where that formula does not hold."""
        if self.layers is None or self.kv_heads is None or self.head_dim is None:
            return None
        if self.attention == "MLA" or self.other_mixers is not None:
            return None
        heads = self.kv_heads * self.layers if isinstance(self.kv_heads, int) else sum(self.kv_heads)
        return 2 * heads * self.head_dim * context * element_bytes


class Parameters(_Facts):
    """Counted over the model that transformers builds from the config.

    Attributes:
        unique: every matrix once.
        stored: a tied vocabulary matrix twice, as in files and engines that keep a copy of it.
        active: of ``unique``, without the experts that one token is not sent to; None without experts.
    """

    unique: int
    stored: int
    active: int | None = None


class PublishedCount(_Facts):
    """A parameter count that somebody else gives."""

    parameters: int
    source: str


class Training(_Facts):
    """What it learned from.

    Attributes:
        tokens: seen in training, repeated ones counted again.
        dataset_tokens: in the data set.
        datasets: names; empty when the makers keep them to themselves, None when not known.
        open_datasets: whether all of them can be had.
        algorithms: beyond plain pre-training.
        compute: as published.
    """

    tokens: int | None = None
    dataset_tokens: int | None = None
    datasets: tuple[str, ...] | None = None
    open_datasets: bool | None = None
    algorithms: tuple[str, ...] = ()
    compute: str | None = None


class Accuracy(_Facts):
    """Published averages over groups of tasks, as shares, 5 shots.

    Attributes:
        commonsense: HellaSwag, TruthfulQA, Winogrande, CommonsenseQA, PIQA, OpenBookQA, BoolQ.
        problem_solving: ARC-Easy, ARC-Challenge, MMLU.
        mathematics: GSM8K, Minerva Math.
    """

    commonsense: Share | None = None
    problem_solving: Share | None = None
    mathematics: Share | None = None
    source: str


class Disagreement(_Facts):
    """Two sources that differ; the entry follows the config."""

    field: str
    published: str
    config: str
    note: str | None = None


class Entry(_Facts):
    """One model.

    Attributes:
        name: ``random:NAME`` builds it.
        made_up: exists here only, for tests and examples.
        released: year and month.
        licence: of the weights.
        model_type: transformers' word for the architecture; None where it has none.
        config: everything that transformers needs to build it; None when that is not known or not possible.
        config_note: how the config differs from the original's, or why there is none.
        nominal_parameters: what its name says, with the vocabulary or without.
        published_counts: exact ones, of others.
        groups: lists that it is in: ``survey-table-1``, ``survey-leaderboard``, ``survey-latency``,
            ``survey-memory``.
        unverified: fields that nobody checked against a source.
        sources: where the facts come from.
    """

    name: str
    family: str
    made_up: bool = False
    hub_id: str | None = None
    organisation: str | None = None
    released: Month | None = None
    licence: str | None = None
    model_type: str | None = None
    architecture: Architecture = Architecture()
    parameters: Parameters | None = None
    nominal_parameters: int | None = None
    published_counts: tuple[PublishedCount, ...] = ()
    training: Training = Training()
    accuracy: Accuracy | None = None
    groups: tuple[str, ...] = ()
    innovations: tuple[str, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    notes: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    config: Mapping[str, Any] | None = None
    config_note: str | None = None

    @model_validator(mode="after")
    def _hangs_together(self) -> Entry:
        problems = list(_contradictions(self))
        if problems:
            raise ValueError(f"{self.name}: {'; '.join(problems)}")
        return self


def _contradictions(entry: Entry) -> list[str]:
    """Facts of one entry that cannot all be true, unless it says why."""
    found = []
    explained = {one.field for one in entry.disagreements}
    config, architecture, parameters = entry.config, entry.architecture, entry.parameters
    if re.search(r"\s|/|:", entry.name):
        found.append("a name has no spaces, slashes or colons")
    if config is not None and config.get("model_type") != entry.model_type:
        found.append(f"model_type is {entry.model_type!r}, the config says {config.get('model_type')!r}")
    if config is None and entry.config_note is None:
        found.append("no config, and config_note does not say why")
    if parameters is not None:
        added = parameters.stored - parameters.unique
        matrix = (architecture.vocabulary or 0) * (architecture.hidden_size or 0)
        if architecture.tied_embeddings is False and added:
            found.append("untied embeddings, but stored and unique parameters differ")
        if added not in (0, matrix) and "parameters" not in explained:
            found.append(f"{added} parameters stored twice are no vocabulary matrix")
        for count in entry.published_counts:
            near = min(abs(own - count.parameters) for own in (parameters.unique, parameters.stored))
            if near > COUNT_TOLERANCE * count.parameters and "parameters" not in explained:
                found.append(
                    f"{count.source} counts {count.parameters} parameters, the config {parameters.unique}"
                )
        nominal = entry.nominal_parameters
        if nominal is not None and "nominal_parameters" not in explained:
            bare = parameters.unique - matrix * (2 if architecture.tied_embeddings is False else 1)
            counted = (parameters.unique, parameters.stored, bare)
            if min(abs(own - nominal) for own in counted) > NOMINAL_TOLERANCE * nominal:
                found.append(f"the name says {nominal} parameters, the config {parameters.unique}")
    heads, kv_heads, attention = architecture.heads, architecture.kv_heads, architecture.attention
    if isinstance(heads, int) and isinstance(kv_heads, int) and attention in ("MHA", "GQA", "MQA"):
        said = attention_kind(heads, kv_heads)
        if said != attention:
            found.append(f"{heads} heads and {kv_heads} key-value heads are {said}, not {attention}")
    for name, value in (
        ("heads", heads),
        ("kv_heads", kv_heads),
        ("intermediate_size", architecture.intermediate_size),
    ):
        if isinstance(value, tuple) and len(value) != architecture.layers:
            found.append(f"{name} has {len(value)} numbers for {architecture.layers} layers")
    return found


def attention_kind(heads: int, kv_heads: int) -> AttentionKind:
    """The survey's word for how many heads share keys and values."""
    if heads == kv_heads:
        return "MHA"
    return "MQA" if kv_heads == 1 else "GQA"
