"""Stored runs as tables for people."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from toolkit.cli.results.gate_words import counter_words, energy_words, gate_words, throttling_words
from toolkit.cli.tables import Column, line_width, print_facts, print_table
from toolkit.store.measurements import OPERATOR_NAMES
from toolkit.store.rows import STATUSES, Device, RunSummary, StoredRun
from toolkit.store.table import HEADERS, NUMERIC, rows_of

if TYPE_CHECKING:
    from toolkit.analysis.roofline import RooflineShare

# What a line without room for all of it does without, first the last one.
_GOING = ("device", "date", "prefill", "tags", "engine", "pp", "MB", "tg", "thr", "parity")
# On narrower lines the status has no column of its own, and short tags stand below the date.
_NARROW = 100
_DATE, _DECODE, _TAGS = (HEADERS.index(header) for header in ("date", "decode", "tags"))
_SHORT_TAG = 8
_FOLDED = {"date": _SHORT_TAG, "device": 13, "quant": 7, "tags": 12}


def print_runs(
    runs: Sequence[RunSummary],
    tags: Mapping[str, Sequence[str]] = {},
    *,
    wide: bool = False,
    just_made: bool = False,
) -> None:
    """Print the listing; a run that is not ok is in red.

    Args:
        runs: the rows.
        tags: of the runs, by id.
        wide: whole values in all columns, as in a pipe.
        just_made: by one command, whose reader wants both speeds, and what its runs differ in.
    """
    width = None if wide else line_width()
    rows = rows_of(runs, tags, whole=width is None)
    headers: tuple[str, ...] = HEADERS
    if width is not None and width < _NARROW:
        below_date = all(len(tag) <= _SHORT_TAG for of_run in tags.values() for tag in of_run)
        left_out = {"status"} | ({"tags"} if below_date else set())
        headers = tuple(header for header in HEADERS if header not in left_out)
        rows = [
            tuple(
                cell
                for header, cell in zip(HEADERS, _narrow(row, below_date), strict=True)
                if header in headers
            )
            for row in rows
        ]
    # What says the same of every run makes room first.
    needless = set() if any(tags.values()) else {"tags"}
    needless |= {"status"} if all(one.run.status == "ok" for one in runs) else set()
    kept = {"prefill"} if just_made else set()
    if just_made:
        alike = {header for header, *cells in zip(headers, *rows, strict=True) if len(set(cells)) == 1}
        needless |= {"date", *(alike & set(_GOING))} - kept
    columns = [
        Column(
            header,
            numeric=header in NUMERIC,
            rank=len(_GOING) + 1 if header in needless else 0 if header in kept else _rank(header),
            least=_FOLDED.get(header),
            style=_style if header in ("decode", "status") else lambda text: "",
        )
        for header in headers
    ]
    shown_by = "`slm results show ID`" if just_made else "--wide"
    print_table(columns, rows, width=width, remedy=f"{shown_by} shows them, and `slm results list` in a pipe")


def _narrow(row: tuple[str, ...], below_date: bool) -> tuple[str, ...]:
    """A row for a narrow line."""
    cells = list(row)
    # A run that is not ok has no figure to trust: its status stands there.
    cells[_DECODE] = row[_DECODE] if row[-1] == "ok" else row[-1]
    # Without the century: two letters decide whether the date has room.
    cells[_DATE] = row[_DATE][2:] + (f" {row[_TAGS]}" if below_date and row[_TAGS] != "-" else "")
    return tuple(cells)


def _rank(header: str) -> int:
    return _GOING.index(header) + 1 if header in _GOING else 0


def _style(text: str) -> str:
    return "red" if text in STATUSES and text != "ok" else ""


def print_run(stored: StoredRun, tags: Sequence[str], share: RooflineShare | None = None) -> None:
    """Print one run: facts, figures, how near to its device's roofs, repetitions, conditions."""
    width = line_width()
    print_facts(_facts(stored, tags, share), width=width)
    if stored.repetitions:
        print()
        _print_repetitions(stored, width)
    if stored.conditions:
        print()
        _print_conditions(stored, width)


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
        ("model", _joined(_maker(device), device.model, device.soc)),
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
        ("memory by part", memory_words(stored)),
        ("greedy parity", _parity(stored)),
        ("prefill time", breakdown_words(stored, "prefill")),
        ("decode time", breakdown_words(stored, "decode")),
        ("prefill operators", operator_words(stored, "prefill")),
        ("decode operators", operator_words(stored, "decode")),
        ("energy", energy_words(stored)),
        ("counters", counter_words(run)),
        ("command", " ".join(run.argv)),
    ]
    return [(name, value) for name, value in facts if value]


def _named(device: Device) -> str:
    """Every name that the device has."""
    others = [name for name in (device.identity, device.serial) if name and name != device.shown_name]
    also = f", {' or '.join(dict.fromkeys(others))}" if others else ""
    return f"{device.shown_name} ({device.shown_kind}{also})"


def _maker(device: Device) -> str | None:
    """None where the model's name says it."""
    named = device.model and device.manufacturer and device.model.startswith(device.manufacturer)
    return None if named else device.manufacturer


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
    how = [run.memory_method]
    if run.max_swap_bytes is not None:
        how.append(f"swap {run.max_swap_bytes / 1e6:.1f} MB")
    if run.major_faults is not None:
        how.append(f"{run.major_faults} major faults")
    told = ", ".join(word for word in how if word)
    return f"{run.peak_bytes / 1e6:.1f} MB" + (f" ({told})" if told else "")


def memory_words(stored: StoredRun) -> str | None:
    """The parts of the peak; None where they are not known."""
    shown = {
        "weights_mapped": "mapped weights",
        "weights_packed": "packed weights",
        "states": "states",
        "compute": "compute",
        "engine": "engine",
        "other": "other",
    }
    parts = ((words, stored.measured(f"memory_{part}_bytes")) for part, words in shown.items())
    return ", ".join(f"{words} {value / 1e6:.1f}" for words, value in parts if value is not None) or None


def breakdown_words(stored: StoredRun, phase: str) -> str | None:
    """Shares of a traced pass, with what tracing cost; None where there was none."""
    shares = [
        (part, stored.measured(f"{phase}_{part}_percent"))
        for part in (
            "attention",
            "feed_forward",
            "lm_head",
            "norms",
            "embedding",
            "engine",
            "runner",
            "other",
        )
    ]
    known = [f"{part.replace('_', '-')} {share:.1f} %" for part, share in shares if share is not None]
    overhead = stored.measured(f"{phase}_trace_overhead_percent")
    if not known or overhead is None:
        return None
    return f"{', '.join(known)} (traced, {overhead:+.0f} % longer)"


def operator_words(stored: StoredRun, phase: str) -> str | None:
    """Shares of the same pass by kind of operator; None where there was none, or before they were stored."""
    shares = (
        (words, stored.measured(f"{phase}_operators_{kind}_percent"))
        for kind, words in OPERATOR_NAMES.items()
    )
    return ", ".join(f"{words} {share:.1f} %" for words, share in shares if share is not None) or None


def roofline_words(share: RooflineShare | None) -> str | None:
    """Shares of the memory's bandwidth and of the arithmetic; None where the device was not measured."""
    if share is None:
        return None
    said = [
        f"{phase} {part:.0%} of {roof / 1e9:.4g} {unit}"
        for phase, part, roof, unit in (
            ("decode", share.decode, share.read_bytes_per_second, "GB/s"),
            ("prefill", share.prefill, share.ops_per_second, f"{share.products} GOP/s"),
        )
        if part is not None and roof is not None
    ]
    measured = datetime.fromtimestamp(share.measured_unix_ns // 1_000_000_000, UTC)
    return f"{', '.join(said)} (measured {measured:%Y-%m-%d})" if said else None


def _parity(stored: StoredRun) -> str | None:
    run = stored.run
    if run.greedy_matched is None:
        return None
    return f"{run.greedy_matched} of {run.greedy_total} tokens as on the converting host"


def _print_repetitions(stored: StoredRun, width: int | None) -> None:
    headers = ("repetition", "prefill ms", "decode ms", "median step ms", "slowest step ms")
    rows = []
    for repetition in stored.repetitions:
        steps = repetition.decode_ns
        said = [" (warm-up)"] if repetition.warmup else []
        said += [" (throttled)"] if repetition.throttled else []
        rows.append(
            (
                f"{repetition.index}{''.join(said)}",
                "-" if repetition.prefill_ns is None else f"{repetition.prefill_ns / 1e6:.1f}",
                f"{(repetition.decode_total_ns or 0) / 1e6:.1f}",
                f"{statistics.median(steps) / 1e6:.2f}" if steps else "-",
                f"{max(steps) / 1e6:.2f}" if steps else "-",
            )
        )
    print_table(_figures(headers), rows, width=width)


def _print_conditions(stored: StoredRun, width: int | None) -> None:
    headers = ("readings", "CPU busy", "free RAM MB", "thermal", "hottest CPU C", "battery", "charging")
    rows = []
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
        shown = ("-" if value is None else str(value) for value in values)
        rows.append((f"{condition.moment}{number}", *shown))
    print_table(_figures(headers), rows, width=width)


def _figures(headers: Sequence[str]) -> list[Column]:
    return [Column(header, numeric=True, rank=index) for index, header in enumerate(headers)]


def _joined(*parts: str | None) -> str:
    return " ".join(part for part in parts if part)


def _milliseconds(ns: int | None) -> str | None:
    return None if ns is None else f"{ns / 1e6:.1f} ms"


def _rate(tokens_per_second: float | None, stdev: float | None) -> str | None:
    if tokens_per_second is None:
        return None
    spread = "" if stdev is None else f" (stdev {stdev:.2f})"
    return f"{tokens_per_second:.2f} tok/s median{spread}"
