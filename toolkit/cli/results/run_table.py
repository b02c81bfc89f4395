"""Stored runs as tables for people: rich on a terminal, the same text without colours elsewhere."""

from __future__ import annotations

import re
import statistics
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from typing import TYPE_CHECKING

from toolkit.cli.results.gate_words import counter_words, energy_words, gate_words, throttling_words
from toolkit.store.rows import Device, RunSummary, StoredRun
from toolkit.store.table import HEADERS, NUMERIC, rows_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from toolkit.analysis.roofline import RooflineShare

# Of logs and pipes, which have no width of their own.
_PLAIN_WIDTH = 100
# Widths of the columns that are wrapped when the table is wider than the line.
_NARROW = {"device": 11, "model": 13, "quant": 8, "pp": 6, "status": 8}
_BREAKS = re.compile(r"@?[^-_:@ ]*[-_: ]*")


def print_runs(runs: Sequence[RunSummary]) -> None:
    """Print the listing, wrapped to the terminal, or to 100 columns; a run that is not ok is in red.

    The lines are put together here: over many runs rich's own table takes longer than the database. On a
    terminal that is narrower still the lines go on below, and no figure is cut.
    """
    from rich.cells import cell_len
    from rich.text import Text

    console = new_console()
    rows = _wrapped([HEADERS, *rows_of(runs)], console.width)
    widths = [max(cell_len(line) for cell in column for line in cell) for column in zip(*rows, strict=True)]

    def aligned(line: Sequence[str]) -> Iterator[str]:
        for header, text, width in zip(HEADERS, line, widths, strict=True):
            space = " " * (width - cell_len(text))
            yield space + text if header in NUMERIC else text + space

    lines = []
    for row in rows:
        style = "bold" if row is rows[0] else ""
        status_style = style if row is rows[0] or row[-1] == ["ok"] else "red"
        for line in zip_longest(*row, fillvalue=""):
            *facts, status = aligned(line)
            lines.append(Text.assemble((" ".join(facts), style), " ", (status.rstrip(), status_style)))
    console.print(*lines, sep="\n", soft_wrap=True)


def _wrapped(rows: Sequence[Sequence[str]], width: int) -> list[list[list[str]]]:
    """The lines of every cell: several only where the table is wider than the line, in columns of names."""
    too_wide = sum(max(map(len, column)) + 1 for column in zip(*rows, strict=True)) - 1 > width
    return [
        [
            _lines(cell, _NARROW[header]) if too_wide and header in _NARROW else [cell]
            for header, cell in zip(HEADERS, row, strict=True)
        ]
        for row in rows
    ]


def _lines(text: str, width: int) -> list[str]:
    """Break a name where people would: after a dash, underscore, colon or space."""
    lines = [""]
    for piece in _BREAKS.findall(text):
        if lines[-1] and len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def plain(text: str) -> str:
    """Keep rich from reading [text], which paths and serials may hold, as markup."""
    return text.replace("[", "\\[")


def print_run(stored: StoredRun, tags: Sequence[str], share: RooflineShare | None = None) -> None:
    """Print one run: facts, figures, how near to its device's roofs, repetitions, conditions."""
    console = new_console()
    facts = new_table(show_header=False)
    for name, value in _facts(stored, tags, share):
        facts.add_row(name, value)
    console.print(facts)
    if stored.repetitions:
        console.print(_repetitions(stored))
    if stored.conditions:
        console.print(_conditions(stored))


def new_console() -> Console:
    """As wide as the terminal; logs and pipes have no width of their own."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _PLAIN_WIDTH
    return Console(width=width, highlight=False, soft_wrap=False, emoji=False)


def new_table(*, show_header: bool = True) -> Table:
    """A table without lines."""
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_header=show_header)


def _facts(stored: StoredRun, tags: Sequence[str], share: RooflineShare | None) -> list[tuple[str, str]]:
    run, device, artifact = stored.run, stored.device, stored.artifact
    started = datetime.fromtimestamp(run.created_unix_ns // 1_000_000_000, UTC)
    facts = [
        ("run", run.id),
        ("status", run.status),
        ("error", run.error),
        ("tags", " ".join(tags)),
        ("recipe", _joined(run.recipe, run.batch and f"(batch {run.batch})")),
        ("started", f"{started:%Y-%m-%d %H:%M:%S} UTC"),
        ("device", _named(device)),
        ("model", _joined(device.manufacturer, device.model, device.soc)),
        ("system", _joined(device.os_version, device.build, device.abi)),
        ("artifact", f"{artifact.name} ({artifact.sha256[:16]}, {artifact.size_bytes / 1e6:.1f} MB)"),
        ("quantization", artifact.quantization),
        ("engine", _joined(run.engine, run.engine_version, run.kernels and f"({run.kernels} kernels)")),
        ("asked", _asked(stored)),
        ("settings", ", ".join(f"{name}={value}" for name, value in sorted((run.settings or {}).items()))),
        ("gate", gate_words(run)),
        ("throttled", throttling_words(run)),
        ("power", run.power_source),
        ("load", _milliseconds(run.load_ns)),
        ("time to first token", _milliseconds(run.ttft_ns)),
        ("prefill", _rate(run.prefill_tokens_per_second, run.prefill_stdev)),
        ("decode", _rate(run.decode_tokens_per_second, run.decode_stdev)),
        ("of the roofline", roofline_words(share)),
        ("peak memory", _memory(stored)),
        ("greedy parity", _parity(stored)),
        ("prefill time", breakdown_words(stored, "prefill")),
        ("decode time", breakdown_words(stored, "decode")),
        ("energy", energy_words(stored)),
        ("counters", counter_words(run)),
        ("command", " ".join(run.argv)),
    ]
    return [(name, plain(value)) for name, value in facts if value]


def _named(device: Device) -> str:
    """Every name that the device has."""
    others = [name for name in (device.identity, device.serial) if name and name != device.shown_name]
    also = f", {' or '.join(dict.fromkeys(others))}" if others else ""
    return f"{device.shown_name} ({device.shown_kind}{also})"


def _asked(stored: StoredRun) -> str:
    run = stored.run
    cpus = f", CPUs {','.join(map(str, run.affinity))}" if run.affinity else ""
    return (
        f"pp {run.prompt_tokens}, tg {run.generate_tokens}, depth {run.depth}, "
        f"{run.warmup} warm-up + {run.repetitions} repetitions, {run.threads or 'auto'} threads{cpus}"
    )


def _memory(stored: StoredRun) -> str | None:
    run = stored.run
    if run.peak_bytes is None:
        return None
    return (
        f"{run.peak_bytes / 1e6:.1f} MB ({run.memory_method}; swap {(run.max_swap_bytes or 0) / 1e6:.1f} MB, "
        f"{run.major_faults} major faults)"
    )


def breakdown_words(stored: StoredRun, phase: str) -> str | None:
    """Shares of a traced pass, with what tracing cost; None where there was none."""
    shares = [
        (part, stored.measured(f"{phase}_{part}_percent"))
        for part in ("attention", "feed_forward", "lm_head", "norms", "embedding", "other")
    ]
    known = [f"{part.replace('_', '-')} {share:.1f} %" for part, share in shares if share is not None]
    overhead = stored.measured(f"{phase}_trace_overhead_percent")
    if not known or overhead is None:
        return None
    return f"{', '.join(known)} (traced, {overhead:+.0f} % longer)"


def roofline_words(share: RooflineShare | None) -> str | None:
    """Shares of the memory's bandwidth and of the 8-bit products; None where the device was not measured."""
    if share is None:
        return None
    said = [
        f"{phase} {part:.0%} of {roof / 1e9:.4g} {unit}"
        for phase, part, roof, unit in (
            ("decode", share.decode, share.read_bytes_per_second, "GB/s"),
            ("prefill", share.prefill, share.int8_ops_per_second, "int8 GOP/s"),
        )
        if part is not None
    ]
    measured = datetime.fromtimestamp(share.measured_unix_ns // 1_000_000_000, UTC)
    return f"{', '.join(said)} (measured {measured:%Y-%m-%d})" if said else None


def _parity(stored: StoredRun) -> str | None:
    run = stored.run
    if run.greedy_matched is None:
        return None
    return f"{run.greedy_matched} of {run.greedy_total} tokens as on the converting host"


def _repetitions(stored: StoredRun) -> Table:
    table = new_table()
    for header in ("repetition", "prefill ms", "decode ms", "median step ms", "slowest step ms"):
        table.add_column(header, justify="right")
    for repetition in stored.repetitions:
        steps = repetition.decode_ns
        table.add_row(
            f"{repetition.index}{' (warm-up)' if repetition.warmup else ''}"
            f"{' (throttled)' if repetition.throttled else ''}",
            "-" if repetition.prefill_ns is None else f"{repetition.prefill_ns / 1e6:.1f}",
            f"{(repetition.decode_total_ns or 0) / 1e6:.1f}",
            f"{statistics.median(steps) / 1e6:.2f}" if steps else "-",
            f"{max(steps) / 1e6:.2f}" if steps else "-",
        )
    return table


def _conditions(stored: StoredRun) -> Table:
    table = new_table()
    for header in ("readings", "CPU busy", "free RAM MB", "thermal", "hottest CPU C", "battery", "charging"):
        table.add_column(header, justify="right")
    for condition in stored.conditions:
        ram = condition.available_ram_bytes
        values = (
            None if condition.cpu_busy is None else f"{condition.cpu_busy:.0%}",
            None if ram is None else f"{ram / 1e6:.0f}",
            condition.thermal_status,
            condition.hottest_cpu_celsius,
            None if condition.battery_percent is None else f"{condition.battery_percent}%",
            None if condition.charging is None else ("yes" if condition.charging else "no"),
        )
        number = "" if condition.repetition is None else f" {condition.repetition}"
        table.add_row(
            f"{condition.moment}{number}", *("-" if value is None else str(value) for value in values)
        )
    return table


def _joined(*parts: str | None) -> str:
    return " ".join(part for part in parts if part)


def _milliseconds(ns: int | None) -> str | None:
    return None if ns is None else f"{ns / 1e6:.1f} ms"


def _rate(tokens_per_second: float | None, stdev: float | None) -> str | None:
    if tokens_per_second is None:
        return None
    spread = "" if stdev is None else f" (stdev {stdev:.2f})"
    return f"{tokens_per_second:.2f} tok/s median{spread}"
