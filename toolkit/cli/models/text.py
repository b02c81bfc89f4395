"""Facts of models as lines of at most 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from toolkit.cli.tables import Column, line_width, print_table
from toolkit.engines import ENGINES
from toolkit.models.catalogue.entry import Entry, PerLayer
from toolkit.models.support import engines_of

WIDTH = 80
_UNKNOWN = "-"
_HEADERS = ("model", "date", "params", "attn", "layers", "ffn", "vocab", "ctx", "build")
# What a line without room for all of it does without, first the last one.
_GOING = ("build", "ctx", "attn", "date", "ffn", "layers", "vocab")
_RIGHT = frozenset({"params", "layers", "vocab", "ctx"})


def print_listing(entries: Sequence[Entry]) -> None:
    """A line per model."""
    columns = [
        Column(header, numeric=header in _RIGHT, rank=_GOING.index(header) + 1 if header in _GOING else 0)
        for header in _HEADERS
    ]
    print_table(columns, [_row(entry) for entry in entries], width=line_width())


def _row(entry: Entry) -> tuple[str, ...]:
    shape = entry.architecture
    return (
        entry.name,
        entry.released or _UNKNOWN,
        count(entry.parameters.unique) if entry.parameters else _UNKNOWN,
        shape.attention or _UNKNOWN,
        _number(shape.layers),
        _feed_forward(entry),
        _number(shape.vocabulary),
        _number(shape.context),
        _build(entry),
    )


def _build(entry: Entry) -> str:
    """Whether it can be built, and on how many of the engines that were tried models of its type convert."""
    if entry.config is None:
        return "no"
    tried = engines_of(entry.model_type or "")
    return f"{sum(tried.values())}/{len(tried)}" if tried else "yes"


def converts_on(entry: Entry) -> str:
    """Engines on which a tiny model of the entry's type converted."""
    tried = engines_of(entry.model_type or "")
    good = [ENGINES.get(engine).title for engine, converts in tried.items() if converts]
    return (", ".join(good) or "no engine") if tried else _UNKNOWN


def sheet(entry: Entry) -> str:
    """Everything about one model but its config, a fact per line."""
    facts = facts_of(entry)
    width = max(map(len, facts))
    lines = []
    for name, text in facts.items():
        lines += textwrap.wrap(
            text,
            WIDTH,
            initial_indent=f"{name:<{width}}  ",
            subsequent_indent=" " * (width + 2),
            break_on_hyphens=False,
        )
    return "\n".join(lines) + "\n"


def side_by_side(entries: Sequence[Entry]) -> str:
    """Models as columns; a star marks a fact in which they differ. Further models follow below."""
    columns = [comparable(entry) for entry in entries]
    names = list(columns[0])
    first = max(map(len, names)) + 3
    room = max(1, (WIDTH - first) // 16)
    blocks = []
    for start in range(0, len(columns), room):
        shown = columns[start : start + room]
        each = (WIDTH - first) // len(shown) - 1
        lines = []
        for name in names:
            differs = len({column[name] for column in columns}) > 1
            cells = [textwrap.wrap(column[name], each, break_on_hyphens=False) or [""] for column in shown]
            for line in range(max(map(len, cells))):
                head = f"{'*' if differs and name != 'model' else ' '} {name}" if line == 0 else ""
                texts = [cell[line] if line < len(cell) else "" for cell in cells]
                lines.append((f"{head:<{first}}" + " ".join(f"{text:<{each}}" for text in texts)).rstrip())
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def comparable(entry: Entry) -> dict[str, str]:
    """The facts that models are compared by; what is not known is a dash."""
    wanted = (
        *(
            "model",
            "organisation",
            "released",
            "licence",
            "parameters",
            "stored twice",
            "active",
            "layers",
            "hidden",
        ),
        *("attention", "head size", "feed-forward", "activation", "norm", "positions", "vocabulary"),
        *("tied", "context", "window", "other mixers", "KV cache", "tokens", "datasets", "algorithms"),
        *("commonsense", "problem solving", "mathematics", "builds", "converts on"),
    )
    facts = facts_of(entry)
    return {name: facts.get(name, _UNKNOWN) for name in wanted}


def facts_of(entry: Entry) -> dict[str, str]:
    """Known facts by their name."""
    shape, training, parameters, accuracy = (
        entry.architecture,
        entry.training,
        entry.parameters,
        entry.accuracy,
    )
    cache = shape.kv_cache_bytes(shape.context) if shape.context else None
    facts: dict[str, str | None] = {
        "model": entry.name,
        "family": entry.family,
        "hub id": entry.hub_id,
        "organisation": entry.organisation,
        "released": entry.released,
        "licence": entry.licence,
        "model type": entry.model_type,
        "parameters": f"{parameters.unique:,}" if parameters else None,
        "stored twice": (
            f"{parameters.stored:,} with the tied vocabulary counted twice"
            if parameters and parameters.stored != parameters.unique
            else None
        ),
        "active": (
            f"{parameters.active:,} for one token, with the experts that it is sent to"
            if parameters and parameters.active
            else None
        ),
        "published": "; ".join(f"{one.parameters:,}: {one.source}" for one in entry.published_counts) or None,
        "layers": _known(shape.layers),
        "hidden": _known(shape.hidden_size),
        "attention": _attention(entry) if shape.attention or shape.heads else None,
        "head size": _known(shape.head_dim),
        "feed-forward": (
            f"{_feed_forward(entry)} x hidden, {span(shape.intermediate_size)} wide"
            if shape.intermediate_size is not None
            else shape.feed_forward
        ),
        "activation": shape.activation,
        "norm": shape.norm,
        "positions": _positions(entry),
        "vocabulary": None if shape.vocabulary is None else f"{shape.vocabulary:,}",
        "tied": None if shape.tied_embeddings is None else ("yes" if shape.tied_embeddings else "no"),
        "context": None if shape.context is None else f"{shape.context:,}",
        "window": None if shape.window is None else f"{shape.window:,}",
        "other mixers": shape.other_mixers,
        "KV cache": None if cache is None else f"{cache / 2**20:.1f} MiB at the full context in fp16",
        "tokens": None if training.tokens is None else count(training.tokens),
        "data set": None if training.dataset_tokens is None else f"{count(training.dataset_tokens)} tokens",
        "datasets": None if training.datasets is None else ", ".join(training.datasets) or "closed",
        "algorithms": ", ".join(training.algorithms) or None,
        "compute": training.compute,
        "commonsense": _percent(accuracy.commonsense) if accuracy else None,
        "problem solving": _percent(accuracy.problem_solving) if accuracy else None,
        "mathematics": _percent(accuracy.mathematics) if accuracy else None,
        "innovations": "; ".join(entry.innovations) or None,
        "lists": ", ".join(entry.groups) or None,
        "disagreements": "; ".join(
            f"{one.field}: {one.published} published, {one.config} here"
            + (f" ({one.note.rstrip('.')})" if one.note else "")
            for one in entry.disagreements
        )
        or None,
        "notes": " ".join(entry.notes) or None,
        "not checked": ", ".join(entry.unverified) or None,
        "sources": "; ".join(entry.sources) or None,
        "builds": _builds(entry),
        "converts on": converts_on(entry) if entry.config else None,
    }
    return {name: text for name, text in facts.items() if text}


def count(number: int) -> str:
    """``1.24B``, ``135M``; three digits, as names of models have them."""
    for size, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        # 999.9 millions are 1.00 billions.
        if number >= 0.9995 * size:
            return f"{number / size:.3g}{unit}"
    return str(number)


def span(value: PerLayer) -> str:
    """One number, or the range over the layers."""
    return str(value) if isinstance(value, int) else f"{min(value)}-{max(value)}"


def _attention(entry: Entry) -> str:
    shape = entry.architecture
    heads = "" if shape.heads is None else span(shape.heads)
    kv_heads = "" if shape.kv_heads is None else f"/{span(shape.kv_heads)}"
    return f"{shape.attention or ''} {heads}{kv_heads}".strip() or _UNKNOWN


def _feed_forward(entry: Entry) -> str:
    ratio = entry.architecture.feed_forward_ratio
    kind = entry.architecture.feed_forward or _UNKNOWN
    return kind if ratio is None else f"{kind} {ratio:.2f}"


def _positions(entry: Entry) -> str | None:
    shape = entry.architecture
    if shape.rotary_fraction is not None and shape.rotary_fraction < 1:
        return f"{shape.positions}, {shape.rotary_fraction:.0%} of each head"
    return shape.positions


def _builds(entry: Entry) -> str:
    if entry.config is None:
        return f"no: {entry.config_note}"
    return f"random:{entry.name}" + (f" ({entry.config_note})" if entry.config_note else "")


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.1%}"


def _known(value: int | None) -> str | None:
    return None if value is None else str(value)


def _number(value: int | None) -> str:
    return _UNKNOWN if value is None else str(value)
