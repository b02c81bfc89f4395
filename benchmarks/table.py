"""The Markdown page that is made from a run's results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from benchmarks.results import Results, Row
from benchmarks.statistics import Ratio, Summary, decode_rates, prefill_rates, summarize
from benchmarks.targets import (
    COSTS,
    check_limits,
    check_targets,
    compare,
    compare_cost,
    leading_rows,
    opponents,
)

_MISSING = "-"
# Above this share of CPU time taken by others, figures are not worth keeping.
_NOISY = 0.10


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    lines = [" | ".join(header), " | ".join(["---", *["---:"] * (len(header) - 1)])]
    lines += [" | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def render(results: Results) -> str:
    """The whole page."""
    parts = [_heading(results), _figures(results)]
    for ours in leading_rows(results):
        parts += [_ratios(results, ours), _cost_ratios(results, ours), _targets(results, ours)]
    parts += [_conversions(results), _failures(results), _conditions(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def render_summary(results: Results) -> str:
    """Figures alone, for the README."""
    machine = results.machine
    where = (
        f"{results.model}, prefill {results.prompt_tokens}, decode {results.generate_tokens}, "
        f"{results.threads} threads on {machine.cpu}, {machine.cores} cores, {machine.operating_system}. "
        f"Medians and ranges over {results.rounds} alternating rounds."
    )
    return f"{where}\n\n{_figures(results)}"


def _heading(results: Results) -> str:
    lines = ["# Side by side", ""]
    if results.quick:
        lines += ["**Quick run: shows that everything works; its figures mean nothing.**", ""]
    lines.append(
        f"{results.model}, prefill {results.prompt_tokens}, decode {results.generate_tokens}, "
        f"{results.threads} threads. Medians over {results.rounds} rounds; each round starts every engine "
        f"once in a fresh process, in turn: {results.warmup} warm-up, {results.repetitions} repetitions."
    )
    return "\n".join(lines)


def _figures(results: Results) -> str:
    header = (
        "engine and weights",
        "prefill tok/s",
        "decode tok/s",
        "load ms",
        "peak memory MB",
        "files MB",
        "perplexity",
        "vs fp32",
    )
    rows = [_figure_row(results, row) for row in results.rows]
    if results.reference is not None:
        blank = [_MISSING] * (len(header) - 3)
        rows.append(
            ["transformers, fp32 (reference)", *blank, f"{results.reference.perplexity:.3f}", _MISSING]
        )
    return markdown_table(header, rows)


def _figure_row(results: Results, row: Row) -> list[str]:
    samples = [entry.sample for entry in row.rounds]
    prefill = [rate for sample in samples for rate in prefill_rates(sample, results.prompt_tokens)]
    decode = [rate for sample in samples for rate in decode_rates(sample)]
    perplexity = change = _MISSING
    if row.score is not None:
        perplexity = f"{row.score.perplexity:.3f}"
        if results.reference is not None:
            change = f"{row.score.perplexity / results.reference.perplexity - 1:+.1%}"
    return [
        row.title + (" (incomplete)" if row.failure else ""),
        _with_range(prefill),
        _with_range(decode),
        _median([sample.load_ns / 1e6 for sample in samples]),
        _median([sample.engine_rss_bytes / 1e6 for sample in samples]),
        _MISSING if row.files_bytes is None else f"{row.files_bytes / 1e6:.1f}",
        perplexity,
        change,
    ]


def _ratios(results: Results, ours: Row) -> str:
    rows = []
    for row in opponents(results, ours):
        ratios = [compare(results, ours, row, metric) for metric in ("prefill", "decode")]
        rows.append([row.title, *(_ratio(ratio) for ratio in ratios)])
    if not rows:
        return ""
    explained = "Ratio of medians; in brackets the lowest and highest ratio within one round."
    table = markdown_table(("against", "prefill", "decode"), rows)
    return f"### {ours.title} over the others\n\n{explained}\n\n{table}"


def _cost_ratios(results: Results, ours: Row) -> str:
    rows = []
    for row in opponents(results, ours):
        ratios = [compare_cost(ours, row, metric) for metric in COSTS]
        rows.append([row.title, *(_MISSING if ratio is None else f"{ratio:.2f}x" for ratio in ratios)])
    if not rows:
        return ""
    return "Costs, ours over theirs: below 1 is less.\n\n" + markdown_table(("against", *COSTS), rows)


def _targets(results: Results, ours: Row) -> str:
    rows = []
    for verdict in check_targets(results, ours):
        target, state = verdict.target, _state(verdict.ratio is not None, verdict.met)
        figure = _ratio(verdict.ratio)
        rows.append([f"{target.metric} against {target.peer}", f">= {target.least}x", figure, state])
    for kept in check_limits(ours):
        limit, state = kept.limit, _state(kept.measured is not None, kept.met)
        figure = _MISSING if kept.measured is None else f"{kept.measured:.1f} {limit.unit}"
        rows.append([limit.metric, f"<= {limit.most:g} {limit.unit}", figure, state])
    if not rows:
        return ""
    header = ("target", "wanted", "measured", "verdict")
    return f"## Targets, {ours.title}\n\n" + markdown_table(header, rows)


def _state(measured: bool, met: bool) -> str:
    return "not measured" if not measured else "met" if met else "missed"


def _conversions(results: Results) -> str:
    rows = [
        [row.title, cost.label, f"{cost.seconds:.1f}", f"{cost.peak_rss_bytes / 1e6:.0f}"]
        for row in results.rows
        for cost in row.conversions
    ]
    if not rows:
        return ""
    return "## Conversion\n\n" + markdown_table(("engine and weights", "", "seconds", "peak memory MB"), rows)


def _failures(results: Results) -> str:
    lines = [f"- {row.title}: {row.failure}" for row in results.rows if row.failure]
    if results.reference_failure:
        lines.append(f"- reference: {results.reference_failure}")
    return "## What failed\n\n" + "\n".join(lines) if lines else ""


def _conditions(results: Results) -> str:
    machine = results.machine
    changed = " with uncommitted changes" if machine.uncommitted_changes else ""
    lines = [
        f"- Machine: {machine.cpu}, {machine.cores} cores, {machine.ram_bytes / 2**30:.0f} GiB; "
        f"{machine.operating_system}, kernel {machine.kernel}",
        f"- Commit {machine.commit[:12]}{changed}; finished {results.finished_utc}",
        f"- Source weights: sha256 {results.model_sha256}",
        f"- Perplexity: {results.text}, {results.windows} windows of {results.window_tokens} tokens that do "
        "not overlap, first token of each not scored; the same token ids for every engine",
        "- Memory: VmHWM of the process, less what a Python interpreter held before it imported the engine",
    ]
    busy = [entry.busy_before for row in results.rows for entry in row.rounds]
    if busy:
        noisy = " **The machine was not quiet.**" if median(busy) > _NOISY else ""
        lines.append(
            f"- CPU time taken by others just before a run: median {median(busy):.0%}, highest "
            f"{max(busy):.0%}.{noisy}"
        )
    lines += [f"- {row.title}: {row.notes}" for row in results.rows]
    for name, version in sorted({pair for row in results.rows for pair in row.versions.items()}):
        lines.append(f"- {name} {version}")
    return "## Conditions\n\n" + "\n".join(lines)


def _with_range(values: Sequence[float]) -> str:
    if not values:
        return _MISSING
    summary: Summary = summarize(values)
    return f"{summary.median:.1f} ({summary.low:.0f}-{summary.high:.0f})"


def _median(values: Sequence[float]) -> str:
    return f"{median(values):.0f}" if values else _MISSING


def _ratio(ratio: Ratio | None) -> str:
    if ratio is None:
        return _MISSING
    return f"{ratio.of_medians:.2f}x ({ratio.low:.2f}-{ratio.high:.2f})"
