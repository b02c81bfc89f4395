"""Runs of the same conditions as groups, with the median of a figure and its interval."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

import sqlalchemy as sa

from toolkit.analysis.compared_figures import Figure, RepetitionTimes
from toolkit.analysis.condition_key import KEY_COLUMNS, ConditionKey, read_key
from toolkit.analysis.statistics import Interval, median_of_medians, percentile_interval, resample
from toolkit.errors import UsageError
from toolkit.store import tables
from toolkit.store.filters import Filter
from toolkit.store.query import matching
from toolkit.store.store import Store

# The same figures give the same interval, whenever and wherever they are compared.
SEED = 0
# Of bound values in one statement; every database takes this many.
_RUNS_AT_A_TIME = 500


@dataclass(frozen=True)
class RunSamples:
    """A figure of one run.

    Attributes:
        run_id: whose.
        key: its conditions.
        created_unix_ns: when it was started.
        values: one for each measured repetition, or a single one when a run has just one.
    """

    run_id: str
    key: ConditionKey
    created_unix_ns: int
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The run's own figure."""
        return median(self.values)


@dataclass(frozen=True)
class Group:
    """All chosen runs of the same conditions.

    Attributes:
        key: the conditions they share.
        figure: what was measured.
        runs: oldest first; at least one.
        median: the median of the runs' medians.
        interval: its bootstrap interval. Of a single run it knows the repetitions only, not how much
            one run differs from the next.
        replicates: the bootstrap's, for intervals of what is computed from several groups.
    """

    key: ConditionKey
    figure: Figure
    runs: tuple[RunSamples, ...]
    median: float
    interval: Interval
    replicates: tuple[float, ...] = field(repr=False, compare=False)

    @property
    def values(self) -> list[float]:
        """Every repetition of every run."""
        return [value for run in self.runs for value in run.values]


def load_groups(
    store: Store,
    figure: Figure,
    *,
    where: Filter | str | None = None,
    run_ids: Sequence[str] = (),
    seed: int = SEED,
) -> list[Group]:
    """Groups of the chosen runs that are ok and have the figure; the group of the newest run first.

    Args:
        store: where the runs are.
        figure: of :data:`toolkit.analysis.compared_figures.FIGURES`.
        where: only runs that pass this filter.
        run_ids: only these, and every one of them; all when empty.
        seed: of the bootstrap.

    Raises:
        BadFilter: a filter that cannot be read.
        UsageError: a run of ``run_ids`` is not ok, lacks the figure, or does not pass the filter.
    """
    samples = load_samples(store, figure, where=where, run_ids=run_ids)
    loaded = {run.run_id for run in samples}
    for run_id in run_ids:
        if run_id not in loaded:
            raise _not_comparable(store, run_id, figure)
    return group(samples, figure, seed=seed)


def _not_comparable(store: Store, run_id: str, figure: Figure) -> UsageError:
    with store.reading() as connection:
        status = connection.scalar(sa.select(tables.runs.c.status).where(tables.runs.c.id == run_id))
    why = f"has no {figure.name}, or the filter leaves it out" if status == "ok" else f"is {status}, not ok"
    return UsageError(
        f"cannot be compared: it {why}",
        subject=f"run {run_id}",
        next_step=f"Leave it out. More of it: slm results show {run_id}",
    )


def group(samples: Sequence[RunSamples], figure: Figure, *, seed: int = SEED) -> list[Group]:
    """Sort runs by their conditions, in the order of first appearance."""
    by_key: dict[ConditionKey, list[RunSamples]] = defaultdict(list)
    for run in samples:
        by_key[run.key].append(run)
    groups = []
    for key, runs in by_key.items():
        runs.sort(key=lambda run: (run.created_unix_ns, run.run_id))
        values = [run.values for run in runs]
        # Not the key: Python's hashes of text differ from process to process.
        replicates = resample(values, f"{seed} {figure.name} {runs[0].run_id}")
        groups.append(
            Group(
                key=key,
                figure=figure,
                runs=tuple(runs),
                median=median_of_medians(values),
                interval=percentile_interval(replicates),
                replicates=tuple(replicates),
            )
        )
    return groups


def load_samples(
    store: Store, figure: Figure, *, where: Filter | str | None = None, run_ids: Sequence[str] = ()
) -> list[RunSamples]:
    """The figure of every repetition of the chosen runs, newest run first; see :func:`load_groups`."""
    chosen = matching(where).where(tables.runs.c.status == "ok", figure.column > 0)
    if run_ids:
        chosen = chosen.where(tables.runs.c.id.in_(run_ids))
    with store.reading() as connection:
        rows = list(_run_rows(connection, chosen, figure))
        if figure.of_repetition is None:
            return [RunSamples(id_, key, created, (value,)) for id_, key, created, value in rows]
        values = _repetition_values(connection, rows, figure)
    return [RunSamples(id_, key, created, tuple(values[id_])) for id_, key, created, _ in rows if values[id_]]


def load_run_figures(
    store: Store, figure: Figure, *, where: Filter | str | None = None, limit: int | None = None
) -> list[RunSamples]:
    """The stored medians of runs, newest first: quicker than every repetition, where those are not needed."""
    chosen = matching(where).where(tables.runs.c.status == "ok", figure.column > 0)
    with store.reading() as connection:
        return [
            RunSamples(id_, key, created, (value,))
            for id_, key, created, value in _run_rows(connection, chosen, figure, limit)
        ]


def _run_rows(
    connection: sa.Connection, chosen: sa.Select[tuple[str]], figure: Figure, limit: int | None = None
) -> Iterator[tuple[str, ConditionKey, int, float]]:
    runs = tables.runs
    query = (
        sa.select(runs.c.id, runs.c.created_unix_ns, figure.column.label("figure"), *KEY_COLUMNS)
        .select_from(runs.join(tables.devices).join(tables.artifacts))
        .where(runs.c.id.in_(chosen))
        .order_by(runs.c.created_unix_ns.desc(), runs.c.id)
        .limit(limit)
    )
    for row in connection.execute(query).mappings():
        yield row[runs.c.id], read_key(row), row[runs.c.created_unix_ns], float(row["figure"])


def _repetition_values(
    connection: sa.Connection, rows: Sequence[tuple[str, ConditionKey, int, float]], figure: Figure
) -> dict[str, list[float]]:
    """Values of each run's measured repetitions; the steps themselves are not read."""
    assert figure.of_repetition is not None
    keys = {run_id: key for run_id, key, _, _ in rows}
    run_ids = list(keys)
    values: dict[str, list[float]] = {run_id: [] for run_id in run_ids}
    columns = tables.repetitions.c
    query = (
        sa.select(columns.run_id, columns.prefill_ns, columns.decode_total_ns)
        .where(columns.warmup.is_(False))
        .order_by(columns.run_id, columns.index)
    )
    for first in range(0, len(run_ids), _RUNS_AT_A_TIME):
        some = query.where(columns.run_id.in_(run_ids[first : first + _RUNS_AT_A_TIME]))
        for run_id, prefill_ns, decode_total_ns in connection.execute(some):
            key = keys[run_id]
            times = RepetitionTimes(key.prompt_tokens, key.generate_tokens - 1, prefill_ns, decode_total_ns)
            value = figure.of_repetition(times)
            if value is not None:
                values[run_id].append(value)
    return values
