"""docs/families.md: what was measured of tiny models of each family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .markdown import NOTE, cell

if TYPE_CHECKING:
    from toolkit.models.support import Support

ROOT = Path(__file__).resolve().parents[2]


def families() -> str:
    """What was measured of tiny models of each family; ``toolkit/models/support.csv`` holds it."""
    from toolkit.engines import ENGINES
    from toolkit.models.support import read_support

    rows = read_support()
    titles = {name: ENGINES.get(name).title for name in ENGINES}
    places = {(row.config, row.engine, row.scheme): row for row in rows}
    configs = {row.config: row.model_type for row in rows}
    judged = {engine: [r for r in rows if (r.engine, r.scheme) == (engine, "fp32")] for engine in titles}
    counts = []
    for engine, title in titles.items():
        known = [row for row in judged[engine] if row.outcome != "unjudged"]
        passed = [row for row in known if row.outcome == "converts"]
        types = {row.model_type for row in known if row.model_type}
        good = types - {row.model_type for row in known if row.outcome != "converts"}
        counts.append(
            f"{title} {len(passed)} of {len(known)} configs (of {len(good)} of {len(types)} model types all)"
        )

    made = [row for row in rows if row.scheme == "fp32" and row.outcome == "converts"]
    twice = sum(row.same_from_cache is True for row in made)

    tiny = {path.stem for path in (ROOT / "tests" / "families" / "configs").glob("*.json")}
    unknown = sorted(tiny - configs.keys())
    quantized = {row.config for row in rows if row.scheme != "fp32"}

    def outcome(row: Support | None) -> str:
        if row is None:
            return "not run"
        if row.outcome == "coarse":
            return f"coarse, {row.divergence:.1e}"
        if row.outcome != "converts":
            return row.outcome
        return f"{row.difference:.1e}" if row.divergence is None else f"KL {row.divergence:.2g}"

    missing = [
        f"The table is not whole. It has {len(configs)} of {len(tiny)} configs, "
        f"{len(quantized)} of them in 8da4w. Not measured: {', '.join(unknown)}. "
        "Some of these are compared in fp32 by `tests/families/test_families_mechanisms.py`.\n"
    ]

    lines = [
        NOTE,
        "# Families of models\n",
        "Tiny configs with random weights (`tests/families/configs/`) are converted, then run in the "
        "engine's own Python runtime over a prefill, single steps and a prefill in chunks, beside "
        "transformers. In fp32 the number is the largest difference of a logit, allowed are 1e-3; in "
        "8da4w it is the mean KL divergence in nats, allowed is the scheme's parity limit. "
        "`tests/families/matrix.py` measures, `make soak` compares. Configs named `q-` try out single "
        "switches, `*-remote` have code in their folder that is not run, of `*-multimodal` the text "
        "decoder is taken. unjudged: transformers itself does not run it. transformers makes the factors of "
        "xIELU in bfloat16 whatever is asked for (`llama-xielu`); compared is the same formula in float32.\n",
        "coarse: it converts, and its logits are further from transformers' than the limit. This number "
        "alone does not tell rounding from a fault. The soak `tests/families/test_families_rounded.py` alone "
        "does, which `make test` leaves out: with the same rounded weights in transformers, the logits of "
        "each such config are the same to 1e-3 on both engines. Weights have 4 bits there, activations are "
        "exact.\n",
        f"In fp32 convert: {'; '.join(counts)}. Of these {len(made)} artifacts {twice} were made a second "
        "time, by another process from what the cache held then: the same byte for byte.\n",
        *(missing if unknown else ()),
        _tried(rows),
        "| config | model type | "
        + " | ".join(f"{title}, {scheme}" for title in titles.values() for scheme in ("fp32", "8da4w"))
        + " | official runtime | runner |",
        "| --- | --- |" + " ---: |" * 2 * len(titles) + " --- | --- |",
    ]
    for config, model_type in configs.items():
        cells = [
            outcome(places.get((config, engine, scheme))) for engine in titles for scheme in ("fp32", "8da4w")
        ]
        plain = {title: places.get((config, engine, "fp32")) for engine, title in titles.items()}
        cells += [
            _same_tokens({title: row.official for title, row in plain.items() if row is not None}),
            _same_tokens({title: row.runner for title, row in plain.items() if row is not None}),
        ]
        lines.append(f"| {config} | {model_type or '-'} | {' | '.join(cells)} |")
    lines += ["\n## Why the others do not\n", "| config | on | reason |", "| --- | --- | --- |"]
    for row in rows:
        # What is refused in fp32 is refused in any scheme.
        if row.outcome != "converts" and (row.scheme == "fp32" or row.outcome == "wrong"):
            lines.append(f"| {row.config} | {titles[row.engine]}, {row.scheme} | {cell(row.reason)} |")
    return "\n".join([*lines, ""])


def _tried(rows: Sequence[Support]) -> str:
    """How many artifacts were run by the official runtimes and by the runner."""

    def count(flags: Iterable[bool | None]) -> str:
        known = [flag for flag in flags if flag is not None]
        return f"{sum(known)} of {len(known)}"

    official, runner = count(row.official for row in rows), count(row.runner for row in rows)
    return (
        "Official runtime: the fp32 artifact gives transformers' greedy tokens in the Python package that "
        f"the engine's makers publish, without the toolkit's sessions ({official} that were tried). Runner: "
        f"`slm profile`, with the prompt in chunks, gives the greedy tokens of the host ({runner}). A blank "
        "was not tried, or did not run.\n"
    )


def _same_tokens(found: Mapping[str, bool | None]) -> str:
    """On which engines tokens were the same, and on which they were not."""
    return ", ".join(f"{title}{'' if same else ': no'}" for title, same in found.items() if same is not None)
