"""Stored runs as Parquet: a row per repetition, the run's, device's and artifact's columns beside it.

A run without repetitions gives one row, whose ``repetition_*`` columns are null.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, BinaryIO

import sqlalchemy as sa

from toolkit.errors import UsageError
from toolkit.extras import install_command
from toolkit.store import tables
from toolkit.store.checked_types import stored_type
from toolkit.store.measurements import quantities
from toolkit.store.row_columns import values_of
from toolkit.store.rows import StoredRun

_RUNS_AT_A_TIME = 500
# Too large to repeat, or said by another column.
_LEFT_OUT = (
    tables.artifacts.c.manifest,
    tables.repetitions.c.run_id,
    tables.devices.c.key,
    tables.artifacts.c.sha256,
)
_LISTS = {
    "affinity": "int64",
    "argv": "string",
    "repetition_decode_ns": "int64",
}


def write_parquet(runs: Iterable[StoredRun], stream: BinaryIO) -> None:
    """Write runs as one Parquet table.

    Raises:
        UsageError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise UsageError(
            "writing Parquet needs pyarrow", next_step=f"Install it: {install_command('parquet')}"
        ) from None
    measured = [one.name for one in quantities("run")]
    measured += [f"repetition_{one.name}" for one in quantities("repetition")]
    schema = pa.schema(
        [(name, _arrow_type(pa, name, column)) for name, column in _columns()]
        + [(name, pa.float64()) for name in measured]
    )
    remaining = iter(runs)
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        while some := list(islice(remaining, _RUNS_AT_A_TIME)):
            rows = [row for stored in some for row in _rows(stored)]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def _columns() -> Iterator[tuple[str, sa.Column[Any]]]:
    for table, prefix in (
        (tables.runs, ""),
        (tables.devices, "device_"),
        (tables.artifacts, "artifact_"),
        (tables.repetitions, "repetition_"),
    ):
        for column in table.columns:
            if not any(column is left_out for left_out in _LEFT_OUT):
                yield prefix + column.name, column


def _arrow_type(pa: Any, name: str, column: sa.Column[Any]) -> Any:
    if name in _LISTS:
        return pa.list_(pa.type_for_alias(_LISTS[name]))
    match stored_type(column):
        case sa.Boolean():
            return pa.bool_()
        case sa.Integer():
            return pa.int64()
        case sa.Float():
            return pa.float64()
        case _:
            return pa.string()


def _rows(stored: StoredRun) -> Iterator[dict[str, Any]]:
    """The rows of one run; names that the schema lacks are ignored."""
    shared = values_of(stored.run)
    # Their names are as many as there are tools: a column of JSON, as in CSV.
    shared["settings"] = json.dumps(stored.run.settings, sort_keys=True) if stored.run.settings else None
    shared |= {f"device_{name}": value for name, value in values_of(stored.device).items()}
    shared |= {f"artifact_{name}": value for name, value in values_of(stored.artifact).items()}
    of_repetitions: dict[int, dict[str, Any]] = defaultdict(dict)
    for one in stored.measurements:
        if one.repetition is None:
            shared[one.name] = one.value
        else:
            of_repetitions[one.repetition][one.name] = one.value
    if not stored.repetitions:
        yield shared
    for repetition in stored.repetitions:
        own = values_of(repetition) | of_repetitions[repetition.index]
        yield shared | {f"repetition_{name}": value for name, value in own.items()}
