"""Tags; decode totals beside the steps; indexes for sorted listings; runs without a prefill.

A comparison needs each repetition's decode time but not its steps: without ``decode_total_ns`` it would parse
a list of numbers per repetition. ``prefill_ns`` may be null because an imported llama-bench test times either
prefill or decode.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"

_RUNS_AT_A_TIME = 500

_repetitions = sa.table(
    "repetitions",
    sa.column("run_id", sa.String),
    sa.column("index", sa.Integer),
    sa.column("decode_ns", sa.JSON),
    sa.column("decode_total_ns", sa.BigInteger),
)


def upgrade() -> None:
    """Add the table, the column and the indexes, and sum up what is stored."""
    op.create_table(
        "tags",
        sa.Column("run_id", sa.String(32), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("tag", sa.String(64), primary_key=True),
    )
    op.create_index("ix_tags_tag", "tags", ["tag"])
    # SQLite cannot change a column: there the table is written again.
    with op.batch_alter_table("repetitions") as batch:
        batch.add_column(sa.Column("decode_total_ns", sa.BigInteger, nullable=False, server_default="0"))
        batch.alter_column("prefill_ns", existing_type=sa.BigInteger, nullable=True)
    _sum_up(op.get_bind())
    op.create_index("ix_runs_decode", "runs", ["decode_tokens_per_second"])
    op.create_index("ix_runs_prefill", "runs", ["prefill_tokens_per_second"])


def _sum_up(connection: sa.Connection) -> None:
    columns = _repetitions.c
    run_ids = list(connection.scalars(sa.select(columns.run_id).distinct()))
    update = (
        sa.update(_repetitions)
        .where(columns.run_id == sa.bindparam("of_run"), columns.index == sa.bindparam("at"))
        .values(decode_total_ns=sa.bindparam("total"))
    )
    for first in range(0, len(run_ids), _RUNS_AT_A_TIME):
        rows = connection.execute(
            sa.select(columns.run_id, columns.index, columns.decode_ns).where(
                columns.run_id.in_(run_ids[first : first + _RUNS_AT_A_TIME])
            )
        ).all()
        totals = [{"of_run": row[0], "at": row[1], "total": sum(row[2])} for row in rows]
        connection.execute(update, totals)
