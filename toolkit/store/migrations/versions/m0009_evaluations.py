"""Scores of tasks, with their items."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision: str | None = "0008"


def _numbered() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)


def _of_evaluation() -> sa.Column[str]:
    return sa.Column("evaluation_id", sa.String(32), sa.ForeignKey("evaluations.id"), nullable=False)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "evaluations",
        sa.Column("id", sa.String(32), primary_key=True, autoincrement=False),
        sa.Column("created_unix_ns", sa.BigInteger, nullable=False),
        sa.Column("toolkit_version", sa.String(32), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("artifact_sha256", sa.String(64)),
        sa.Column("backend", sa.String(32), nullable=False),
        sa.Column("quantization", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("place", sa.String(255), nullable=False),
        sa.Column("place_identity", sa.String(255), nullable=False),
        sa.Column("item_limit", sa.Integer),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.Column("truncated", sa.Boolean, nullable=False),
        sa.Column("versions", sa.JSON, nullable=False),
    )
    op.create_index("ix_evaluations_created_unix_ns", "evaluations", ["created_unix_ns"])
    op.create_table(
        "scores",
        _numbered(),
        _of_evaluation(),
        sa.Column("task", sa.String(255), nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("shots", sa.Integer, nullable=False),
        sa.Column("metric", sa.String(64), nullable=False),
        sa.Column("filter", sa.String(64), nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("stderr", sa.Float),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("higher_is_better", sa.Boolean),
        sa.Column("items_sha256", sa.String(64), nullable=False),
    )
    op.create_index("ix_scores_task", "scores", ["task"])
    op.create_index("ix_scores_evaluation_id", "scores", ["evaluation_id"])
    op.create_table(
        "scored_items",
        _numbered(),
        _of_evaluation(),
        sa.Column("task", sa.String(255), nullable=False),
        sa.Column("shots", sa.Integer, nullable=False),
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("metrics", sa.JSON, nullable=False),
    )
    op.create_index("ix_scored_items_of_task", "scored_items", ["evaluation_id", "task"])
