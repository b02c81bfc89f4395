"""Measurements in a table of their own: name, value and unit, of a run or of one of its repetitions.

The figures of energy move there, which few runs have.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"

# The names and units that were columns until now; the vocabulary may say other things one day.
_OF_RUNS = (
    ("baseline_watts", "W"),
    ("mean_watts", "W"),
    ("net_watts", "W"),
    ("joules_per_prompt", "J"),
    ("prefill_joules_per_token", "J"),
    ("decode_joules_per_token", "J"),
    ("battery_rise_celsius", "C"),
    ("cpu_rise_celsius", "C"),
)
_OF_REPETITIONS = (("prefill_joules", "J"), ("decode_joules", "J"))

_TARGETS = ("run_id", "repetition", "name", "value", "unit")


def upgrade() -> None:
    """Make the table and its indexes, and move what is stored."""
    op.create_table(
        "measurements",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("run_id", sa.String(32), sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("unit", sa.String(16), nullable=False),
        sa.Column("repetition", sa.Integer),
    )
    of_run = sa.text("repetition IS NULL")
    op.create_index(
        "ix_measurements_of_run",
        "measurements",
        ["run_id", "name"],
        unique=True,
        sqlite_where=of_run,
        postgresql_where=of_run,
    )
    op.create_index(
        "ix_measurements_of_repetition", "measurements", ["run_id", "repetition", "name"], unique=True
    )
    for name, unit in _OF_RUNS:
        _move("runs", "id", None, name, unit)
    for name, unit in _OF_REPETITIONS:
        _move("repetitions", "run_id", "index", name, unit)


def _move(table: str, owner: str, repetition: str | None, name: str, unit: str) -> None:
    columns = [sa.column(owner), sa.column(name, sa.Float)]
    source = sa.table(table, *columns, *([sa.column(repetition)] if repetition else []))
    index = source.c[repetition] if repetition else sa.cast(sa.null(), sa.Integer)
    measurements = sa.table("measurements", *map(sa.column, _TARGETS))
    known = sa.select(
        source.c[owner], index, sa.literal(name, sa.String), source.c[name], sa.literal(unit, sa.String)
    ).where(source.c[name].is_not(None))
    op.get_bind().execute(sa.insert(measurements).from_select(_TARGETS, known))
    # SQLite drops a column in place, unlike a change of its type.
    op.drop_column(table, name)
