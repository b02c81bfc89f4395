"""What is checked of a run that comes from a file, beside its types: a store could have written it.

A figure that stands beside the samples that it was made of must agree with them.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from toolkit.errors import UsageError
from toolkit.store.checked_types import LAST_UNIX_NS
from toolkit.store.measurements import VOCABULARY, tokens_per_second
from toolkit.store.row_columns import values_of
from toolkit.store.rows import Measurement, Repetition, StoredRun
from toolkit.store.tags import check_tag

_ID = re.compile(r"[0-9a-z-]{1,32}")
# The largest columns have 64 bits.
_INTEGERS = 1 << 63
_NO_CHARACTER = re.compile("[\0\ud800-\udfff]")
# All other whole numbers count something.
_MAY_BE_NEGATIVE = frozenset({"exit_code", "energy_discharge_sign"})
# Nothing takes no time, and comparisons divide by these.
_POSITIVE = frozenset(
    {"load_ns", "prefill_tokens_per_second", "decode_tokens_per_second", "ttft_ns", "peak_bytes"}
)
# Somebody may have rounded what was exported.
_RELATIVE = 1e-3
# Clocks and time zones differ; a phone without a network may be years off.
_CLOCKS = timedelta(days=1)


def is_in_future(moment: datetime) -> bool:
    """Whether a time is later than any clock shows."""
    return moment.timestamp() > (datetime.now(UTC) + _CLOCKS).timestamp()


def wrong_with(stored: StoredRun, manifest: dict[str, Any], tags: Sequence[str]) -> str | None:
    """Why a run cannot be taken in, in words; None where it can."""
    return next(_problems(stored, manifest, tags), None)


def _problems(stored: StoredRun, manifest: dict[str, Any], tags: Sequence[str]) -> Iterator[str]:
    run = stored.run
    indices = [repetition.index for repetition in stored.repetitions]
    measured = [(one.name, one.repetition) for one in stored.measurements]
    if not _ID.fullmatch(run.id):
        yield f"run.id: {run.id!r} is not an id"
    if run.device_key != stored.device.key or run.artifact_sha256 != stored.artifact.sha256:
        yield "the run belongs to another device or artifact"
    if len(set(indices)) != len(indices):
        yield "two repetitions have the same index"
    if len(set(measured)) != len(measured):
        yield "the same measurement stands twice"
    for one in stored.measurements:
        if (wrong := _misfit(one)) is not None:
            yield f"measurement {one.name}: {wrong}"
    for repetition in stored.repetitions:
        if any(ns is not None and ns <= 0 for ns in (repetition.prefill_ns, *repetition.decode_ns)):
            yield "a duration is not positive"
    rows = (run, stored.device, stored.artifact, *stored.repetitions, *stored.conditions)
    values = [pair for row in rows for pair in values_of(row).items()]
    values += [(one.name, one.value) for one in stored.measurements]
    for name, value in (*values, ("manifest", manifest)):
        if wrong := _why_not_kept(name, value):
            yield f"{name}: {wrong}"
    for tag in tags:
        try:
            check_tag(tag)
        except UsageError as error:
            yield f"tags: {tag!r} {error.what}"
    yield from _contradictions(stored)


def _misfit(one: Measurement) -> str | None:
    """What the vocabulary says otherwise of a measurement; names of a newer toolkit are left alone."""
    if one.name not in VOCABULARY:
        return None
    known = VOCABULARY.get(one.name)
    if one.unit != known.unit:
        return f"the unit is {one.unit!r}, not {known.unit!r}"
    if (known.of == "repetition") != (one.repetition is not None):
        return f"is measured of each {known.of}"
    return None


def _contradictions(stored: StoredRun) -> Iterator[str]:
    """Figures of a run that are not those of its repetitions, with both values."""
    run = stored.run
    if run.greedy_matched is not None and run.greedy_matched > (run.greedy_total or 0):
        yield f"run.greedy_matched is {run.greedy_matched}, greedy_total {run.greedy_total}"
    measured = [repetition for repetition in stored.repetitions if not repetition.warmup]
    for one in measured:
        if one.decode_ns and one.decode_total_ns != sum(one.decode_ns):
            yield (
                f"repetition {one.index}: decode_total_ns is {one.decode_total_ns}, "
                f"the sum of decode_ns {sum(one.decode_ns)}"
            )
    prefills_ns = [one.prefill_ns for one in measured if one.prefill_ns is not None]
    prefill = [tokens_per_second(run.prompt_tokens, ns) for ns in prefills_ns]
    decode = [rate for one in measured if (rate := _decode(one, run.generate_tokens - 1)) is not None]
    for name, said, samples in (
        ("prefill_tokens_per_second", run.prefill_tokens_per_second, prefill),
        ("decode_tokens_per_second", run.decode_tokens_per_second, decode),
        ("ttft_ns", run.ttft_ns, prefills_ns),
    ):
        if said is None or not samples:
            continue
        median = statistics.median(samples)
        if not math.isclose(said, median, rel_tol=_RELATIVE):
            yield f"run.{name} is {said:.10g}, the median of its repetitions {median:.10g}"


def _decode(one: Repetition, steps: int) -> float | None:
    """A repetition's rate; of llama-bench's tests only the time of all steps together is known."""
    steps = len(one.decode_ns) or steps
    return tokens_per_second(steps, one.decode_total_ns) if steps and one.decode_total_ns else None


def _why_not_kept(name: str, value: Any) -> str | None:
    """Why no store gives a column's value back as it is, in words; None where one does."""
    for part in _leaves(value):
        if isinstance(part, str) and _NO_CHARACTER.search(part):
            # UTF-8 has no half of a pair, PostgreSQL no NUL.
            return "holds a character that no store holds"
        if isinstance(part, float) and not math.isfinite(part):
            return f"{part} is not a number"
    numbers = value if isinstance(value, tuple) else (value,)
    for number in numbers:
        if isinstance(number, int) and not -_INTEGERS <= number < _INTEGERS:
            return "the number is beyond 64 bits"
        if isinstance(number, int) and number < 0 and name not in _MAY_BE_NEGATIVE:
            return f"{number} is negative"
    if name in _POSITIVE and value is not None and value <= 0:
        return f"{value} is not positive"
    if name.endswith("unix_ns") and value is not None and value > LAST_UNIX_NS:
        return "the time is after the year 9999"
    return None


def _leaves(value: Any) -> Iterator[Any]:
    """The plain values in a column's value, keys of objects among them."""
    if isinstance(value, dict):
        yield from value
        value = tuple(value.values())
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _leaves(part)
    else:
        yield value
