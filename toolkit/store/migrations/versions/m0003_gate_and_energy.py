"""Gates, throttling and energy: how each repetition began, whether it was throttled, what it drew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"

_RUNS = (
    ("gate", sa.String(16)),
    ("gate_max_thermal_status", sa.Integer),
    ("gate_max_celsius", sa.Float),
    ("gate_max_cpu_busy", sa.Float),
    ("gate_min_battery_percent", sa.Integer),
    ("gate_screen_off", sa.Boolean),
    ("gate_unreadable", sa.Text),
    ("throttled_repetitions", sa.Integer),
    ("power_source", sa.String(16)),
    ("energy_source", sa.Text),
    ("energy_interval_ms", sa.Integer),
    ("energy_samples", sa.Integer),
    ("energy_gauge_ms", sa.Integer),
    ("energy_current_unit", sa.String(8)),
    ("energy_voltage_unit", sa.String(8)),
    ("energy_discharge_sign", sa.Integer),
    ("energy_sign_from", sa.String(16)),
    ("energy_charging", sa.Boolean),
    ("energy_note", sa.Text),
    ("baseline_watts", sa.Float),
    ("mean_watts", sa.Float),
    ("net_watts", sa.Float),
    ("joules_per_prompt", sa.Float),
    ("prefill_joules_per_token", sa.Float),
    ("decode_joules_per_token", sa.Float),
    ("battery_rise_celsius", sa.Float),
    ("cpu_rise_celsius", sa.Float),
)
_REPETITIONS = (
    ("gate", sa.String(16)),
    ("gate_wait_ns", sa.BigInteger),
    ("throttled", sa.Boolean),
    ("throttle_sign", sa.Text),
    ("prefill_joules", sa.Float),
    ("decode_joules", sa.Float),
)
_CONDITIONS = (
    ("cpu_frequency_caps_khz", sa.JSON(none_as_null=True)),
    ("battery_celsius", sa.Float),
    ("power_source", sa.String(16)),
    ("screen_on", sa.Boolean),
)


def upgrade() -> None:
    """Add the columns; of older runs nothing is known about them."""
    for table, columns in (("runs", _RUNS), ("repetitions", _REPETITIONS), ("conditions", _CONDITIONS)):
        for name, kind in columns:
            op.add_column(table, sa.Column(name, kind))
