"""A model card: what an artifact is, what its check found, what was measured of it under which conditions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import yaml

from toolkit.analysis.compared_figures import FIGURES, Figure
from toolkit.analysis.condition_key import ConditionKey
from toolkit.analysis.condition_labels import told_apart
from toolkit.analysis.groups import Group, load_groups
from toolkit.artifact import Artifact, Manifest, TensorQuantization
from toolkit.errors import UsageError, first_line
from toolkit.store import tables
from toolkit.store.store import Store

# What the hub calls a card.
CARD = "README.md"
_FRONT = re.compile(r"\A---\r?\n(.*?)\r?\n---(?=\r?\n|\Z)", re.DOTALL)
_FIGURES = {
    "prefill": "prefill_tokens_per_second",
    "decode": "decode_tokens_per_second",
    "first token": "ttft_ns",
    "memory": "peak_bytes",
}


def model_card(artifact: Artifact, store: Store) -> str:
    """The card in Markdown, with the metadata that the hub reads in front.

    Args:
        artifact: the model.
        store: whose ok runs of this very artifact are told; emulated devices are named as such.
    """
    parts = [_metadata(artifact.manifest), f"# {artifact.name}", _introduction(artifact.manifest)]
    parts += ["## Facts", _facts(artifact.manifest), "## Quality", _quality(artifact.manifest)]
    parts += ["## Measured", _measured(artifact, store), "## Use", _use(artifact)]
    return "\n\n".join(parts) + "\n"


def with_metadata_of(card: str, earlier: str) -> str:
    """A card with what stands in an earlier one's metadata and not in its own, a licence for instance.

    Raises:
        UsageError: the earlier one's metadata cannot be read.
    """
    own, theirs = _FRONT.match(card), _FRONT.match(earlier)
    if own is None or theirs is None:
        return card
    try:
        data = yaml.safe_load(theirs[1]) or {}
        kept = dict(data)
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise UsageError(
            f"the metadata of its {CARD} cannot be read, and would be lost: {first_line(error)}",
            next_step=f"Correct the {CARD} on the hub.",
        ) from None
    made = yaml.safe_load(own[1])
    tags = kept.get("tags")
    more = [one for one in tags if one not in made["tags"]] if isinstance(tags, list) else []
    return f"{_front(kept | made | {'tags': [*made['tags'], *more]})}{card[own.end() :]}"


def _front(data: Mapping[str, object]) -> str:
    return f"---\n{yaml.safe_dump(dict(data), sort_keys=True, allow_unicode=True).rstrip()}\n---"


def _metadata(manifest: Manifest) -> str:
    data: dict[str, object] = {
        "tags": ["slm-toolkit", manifest.backend.name, manifest.quantization.linear.scheme]
    }
    if manifest.source.kind == "hub":
        data |= {"base_model": manifest.source.id, "base_model_relation": "quantized"}
    data["pipeline_tag"] = "text-generation"
    return _front(data)


def _introduction(manifest: Manifest) -> str:
    text = (
        f"{manifest.source.id} as a small language model for devices: {_quantization(manifest)}, for "
        f"{manifest.backend.name} {manifest.backend.version}. Made with slm-toolkit."
    )
    if manifest.source.kind == "random":
        text += " Its weights are random: good for measuring speed and memory, and for nothing else."
    return text


def _facts(manifest: Manifest) -> str:
    quantization = manifest.quantization
    facts = {
        "source": f"{manifest.source.id} ({manifest.source.kind})",
        "revision": manifest.source.revision,
        "architecture": manifest.architecture.model_type,
        "parameters": f"{manifest.architecture.unique_parameters / 1e6:.1f} M",
        "size": f"{manifest.size_bytes / 1e6:.1f} MB",
        "context": f"{manifest.context_length} tokens",
        "preset": quantization.preset,
        "linear layers": _tensor(quantization.linear),
        "embedding": _tensor(quantization.embedding),
        "output layer": _tensor(quantization.lm_head),
        "engine": f"{manifest.backend.name} {manifest.backend.version}",
        "runs in": ", ".join(manifest.runtimes or ()),
        "made": manifest.created_utc,
        "hash": f"`{manifest.sha256}`",
    }
    return _table(("", ""), [(name, value) for name, value in facts.items() if value])


def _quality(manifest: Manifest) -> str:
    parity = manifest.parity
    if parity is None:
        return "Not compared with the original."
    if manifest.source.kind == "random":
        return "Random weights have none."
    return (
        f"Compared with the original in fp32 over {parity.positions} positions of fixed prompts: the "
        f"likeliest token is the same at {parity.top1_agreement:.1%}; mean KL divergence "
        f"{parity.mean_kl:.3g} nats."
    )


def _measured(artifact: Artifact, store: Store) -> str:
    groups: dict[ConditionKey, dict[str, Group]] = {}
    for title, name in _FIGURES.items():
        of_this = tables.runs.c.artifact_sha256 == artifact.manifest.sha256
        for group in load_groups(store, FIGURES.get(name), where=of_this):
            groups.setdefault(group.key, {})[title] = group
    if not groups:
        return "Nothing yet: `slm profile` measures it."
    units = {title: FIGURES.get(name) for title, name in _FIGURES.items()}
    header = ("device", "work", *(f"{title} ({figure.unit})" for title, figure in units.items()), "runs")
    rows = []
    works = told_apart([f"{_device(key)}|{_work(key)}" for key in groups], list(groups))
    for (key, found), work in zip(groups.items(), works, strict=True):
        some = next(iter(found.values()))
        figures = [_figure(found.get(title), figure) for title, figure in units.items()]
        rows.append((_device(key), work.partition("|")[2], *figures, f"{len(some.runs)}, {_last(some)}"))
    said = (
        "Medians over runs, in brackets the 95 % bootstrap interval. pp: prompt tokens, tg: generated ones, "
        "@: tokens in the cache before. Runs of one row share all conditions."
    )
    return f"{said}\n\n{_table(header, rows)}"


def _device(key: ConditionKey) -> str:
    name = "virtual phone (emulated)" if key.emulated else key.device_model or "unnamed"
    # A computer's model and processor are the same.
    return ", ".join(dict.fromkeys(part for part in (name, key.device_soc, key.device_os_version) if part))


def _work(key: ConditionKey) -> str:
    depth = f" @{key.depth}" if key.depth else ""
    parts = [
        f"pp{key.prompt_tokens} tg{key.generate_tokens}{depth}",
        f"{key.threads} threads" if key.threads else "threads auto",
        f"{key.engine} {key.engine_version}",
        f"{key.kernels or 'unknown'} kernels",
        f"gate {key.gate or 'unknown'}",
        f"power {key.power_source or 'unknown'}",
    ]
    return ", ".join(parts)


def _figure(group: Group | None, figure: Figure) -> str:
    if group is None:
        return "-"
    interval = f"{figure.shown(group.interval.low)} .. {figure.shown(group.interval.high)}"
    return f"{figure.shown(group.median)} [{interval}]"


def _last(group: Group) -> str:
    return f"{datetime.fromtimestamp(group.runs[-1].created_unix_ns // 1_000_000_000, UTC):%Y-%m-%d}"


def _use(artifact: Artifact) -> str:
    name = artifact.path.resolve().name
    return (
        f"```\nslm chat {name}\nslm profile {name} --device SERIAL\n```\n\n"
        "The folder is an artifact as slm-toolkit's docs/file_formats.md describes it."
    )


def _quantization(manifest: Manifest) -> str:
    return manifest.quantization.preset or manifest.quantization.linear.scheme


def _tensor(one: TensorQuantization) -> str:
    if one.group_size is None:
        return one.scheme
    groups = f"groups of {one.group_size}" if one.group_size else "per channel"
    return f"{one.scheme}, {groups}, {one.algorithm}"


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
