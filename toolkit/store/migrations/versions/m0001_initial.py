"""Devices, artifacts, runs, repetitions, conditions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    """Create the first tables."""
    op.create_table(
        "devices",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("serial", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("emulated", sa.Boolean, nullable=False),
        sa.Column("manufacturer", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("soc", sa.Text),
        sa.Column("abi", sa.String(32)),
        sa.Column("os_version", sa.Text),
        sa.Column("api_level", sa.Integer),
        sa.Column("build", sa.Text),
        sa.Column("cpu_cores", sa.Integer),
        sa.Column("ram_bytes", sa.BigInteger),
    )
    op.create_table(
        "artifacts",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("revision", sa.Text),
        sa.Column("model_type", sa.String(64), nullable=False),
        sa.Column("backend", sa.String(32), nullable=False),
        sa.Column("backend_version", sa.String(32), nullable=False),
        sa.Column("quantization", sa.Text, nullable=False),
        sa.Column("scheme", sa.String(32), nullable=False),
        sa.Column("group_size", sa.Integer),
        sa.Column("algorithm", sa.String(32), nullable=False),
        sa.Column("preset", sa.String(64)),
        sa.Column("context_length", sa.Integer, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("unique_parameters", sa.BigInteger, nullable=False),
        sa.Column("stored_parameters", sa.BigInteger, nullable=False),
        sa.Column("manifest", sa.JSON, nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("device_key", sa.String(64), sa.ForeignKey("devices.key"), nullable=False),
        sa.Column("artifact_sha256", sa.String(64), sa.ForeignKey("artifacts.sha256"), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("protocol", sa.Integer, nullable=False),
        sa.Column("created_unix_ns", sa.BigInteger, nullable=False),
        sa.Column("toolkit_version", sa.String(32), nullable=False),
        sa.Column("engine", sa.String(32), nullable=False),
        sa.Column("engine_version", sa.String(32), nullable=False),
        sa.Column("runner_version", sa.String(32)),
        sa.Column("kernels", sa.String(32)),
        sa.Column("abi", sa.String(32), nullable=False),
        sa.Column("bundle_sha256", sa.String(64), nullable=False),
        sa.Column("argv", sa.JSON, nullable=False),
        sa.Column("exit_code", sa.Integer),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("generate_tokens", sa.Integer, nullable=False),
        sa.Column("depth", sa.Integer, nullable=False),
        sa.Column("prefill_chunk", sa.Integer, nullable=False),
        sa.Column("context_length", sa.Integer, nullable=False),
        sa.Column("warmup", sa.Integer, nullable=False),
        sa.Column("repetitions", sa.Integer, nullable=False),
        sa.Column("threads", sa.Integer, nullable=False),
        sa.Column("affinity", sa.JSON, nullable=False),
        sa.Column("load_ns", sa.BigInteger),
        sa.Column("prefill_tokens_per_second", sa.Float),
        sa.Column("prefill_stdev", sa.Float),
        sa.Column("decode_tokens_per_second", sa.Float),
        sa.Column("decode_stdev", sa.Float),
        sa.Column("ttft_ns", sa.BigInteger),
        sa.Column("peak_bytes", sa.BigInteger),
        sa.Column("memory_method", sa.Text),
        sa.Column("vm_hwm_bytes", sa.BigInteger),
        sa.Column("max_rss_swap_bytes", sa.BigInteger),
        sa.Column("max_swap_bytes", sa.BigInteger),
        sa.Column("after_load_bytes", sa.BigInteger),
        sa.Column("major_faults", sa.BigInteger),
        sa.Column("memory_samples", sa.Integer),
        sa.Column("memory_interval_ms", sa.Integer),
        sa.Column("greedy_matched", sa.Integer),
        sa.Column("greedy_total", sa.Integer),
    )
    op.create_index("ix_runs_created_unix_ns", "runs", ["created_unix_ns"])
    op.create_index("ix_runs_artifact_sha256", "runs", ["artifact_sha256"])
    op.create_index("ix_runs_device_key", "runs", ["device_key"])
    op.create_table(
        "repetitions",
        sa.Column("run_id", sa.String(32), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("warmup", sa.Boolean, nullable=False),
        sa.Column("started_unix_ns", sa.BigInteger, nullable=False),
        sa.Column("prefill_ns", sa.BigInteger, nullable=False),
        sa.Column("decode_ns", sa.JSON, nullable=False),
    )
    op.create_table(
        "conditions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("run_id", sa.String(32), sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("moment", sa.String(8), nullable=False),
        sa.Column("repetition", sa.Integer),
        sa.Column("unix_ns", sa.BigInteger, nullable=False),
        sa.Column("cpu_busy", sa.Float),
        sa.Column("cpu_frequencies_khz", sa.JSON(none_as_null=True)),
        sa.Column("available_ram_bytes", sa.BigInteger),
        sa.Column("thermal_status", sa.Integer),
        sa.Column("hottest_cpu_celsius", sa.Float),
        sa.Column("battery_percent", sa.Integer),
        sa.Column("charging", sa.Boolean),
    )
    op.create_index("ix_conditions_run_id", "conditions", ["run_id"])
