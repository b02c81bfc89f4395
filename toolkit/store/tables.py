"""The tables, made from the rows, for queries. The migrations create them; a test keeps the two equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DefaultClause,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from toolkit.store.checked_types import CheckedType
from toolkit.store.row_columns import HINT, columns_of
from toolkit.store.rows import (
    Artifact,
    Condition,
    Device,
    DeviceRoofline,
    Evaluation,
    Measurement,
    Repetition,
    Run,
    Score,
    ScoredItem,
)

# The newest migration.
SCHEMA = "0010"

metadata = MetaData()


def _numbered() -> Column[int]:
    # SQLite numbers rows by itself only when the key is spelled INTEGER.
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


def _of_run() -> Column[str]:
    return Column("run_id", String(32), ForeignKey("runs.id"), nullable=False)


devices = Table("devices", metadata, *columns_of(Device, keys=["key"]))

artifacts = Table(
    "artifacts",
    metadata,
    *columns_of(Artifact, keys=["sha256"]),
    # The whole manifest, so that a question nobody thought of yet can still be answered.
    Column("manifest", JSON, nullable=False, info={HINT: Mapping[str, Any]}),
)

runs = Table(
    "runs",
    metadata,
    *columns_of(
        Run, keys=["id"], references={"device_key": "devices.key", "artifact_sha256": "artifacts.sha256"}
    ),
    Index("ix_runs_created_unix_ns", "created_unix_ns"),
    Index("ix_runs_artifact_sha256", "artifact_sha256"),
    Index("ix_runs_device_key", "device_key"),
    Index("ix_runs_decode", "decode_tokens_per_second"),
    Index("ix_runs_prefill", "prefill_tokens_per_second"),
)

repetitions = Table(
    "repetitions",
    metadata,
    Column("run_id", String(32), ForeignKey("runs.id"), primary_key=True),
    *columns_of(Repetition, keys=["index"]),
)
# Filled in by the row where it is not given; older stores were given 0 first.
repetitions.c.decode_total_ns.nullable = False
repetitions.c.decode_total_ns.server_default = DefaultClause("0")

conditions = Table(
    "conditions",
    metadata,
    _numbered(),
    _of_run(),
    *columns_of(Condition),
    Index("ix_conditions_run_id", "run_id"),
)

measurements = Table("measurements", metadata, _numbered(), _of_run(), *columns_of(Measurement))
# One value of a name for the run as a whole, and one for each repetition; the first is also how a listing
# finds them.
Index(
    "ix_measurements_of_run",
    measurements.c.run_id,
    measurements.c.name,
    unique=True,
    sqlite_where=measurements.c.repetition.is_(None),
    postgresql_where=measurements.c.repetition.is_(None),
)
Index(
    "ix_measurements_of_repetition",
    measurements.c.run_id,
    measurements.c.repetition,
    measurements.c.name,
    unique=True,
)

# Which import brought a run; those that were measured here have no row.
imports = Table(
    "imports",
    metadata,
    Column("run_id", String(32), ForeignKey("runs.id"), primary_key=True),
    Column("import_id", String(32), nullable=False),
    Column("file", Text, nullable=False),
    Column("unix_ns", BigInteger, nullable=False, info={HINT: int}),
    Index("ix_imports_import_id", "import_id"),
)

tags = Table(
    "tags",
    metadata,
    Column("run_id", String(32), ForeignKey("runs.id"), primary_key=True),
    Column("tag", String(64), primary_key=True),
    Index("ix_tags_tag", "tag"),
)

evaluations = Table(
    "evaluations",
    metadata,
    *columns_of(Evaluation, keys=["id"]),
    Index("ix_evaluations_created_unix_ns", "created_unix_ns"),
)


def _of_evaluation() -> Column[str]:
    return Column("evaluation_id", String(32), ForeignKey("evaluations.id"), nullable=False)


scores = Table(
    "scores",
    metadata,
    _numbered(),
    _of_evaluation(),
    *columns_of(Score),
    Index("ix_scores_task", "task"),
    Index("ix_scores_evaluation_id", "evaluation_id"),
)

scored_items = Table(
    "scored_items",
    metadata,
    _numbered(),
    _of_evaluation(),
    *columns_of(ScoredItem),
    Index("ix_scored_items_of_task", "evaluation_id", "task"),
)

# Not bound to a run: a device may be measured before anything ran on it.
rooflines = Table(
    "rooflines",
    metadata,
    _numbered(),
    *columns_of(DeviceRoofline),
    Index("ix_rooflines_device_key", "device_key"),
)

for _table in metadata.tables.values():
    for _column in _table.columns:
        if HINT in _column.info:
            _column.type = CheckedType(_column.type, _table.name, _column.name, _column.info[HINT])
