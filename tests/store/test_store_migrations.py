from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from toolkit.analysis.compared_figures import find_figure
from toolkit.analysis.groups import load_groups
from toolkit.store import open_store
from toolkit.store.database import connect, transaction
from toolkit.store.migrating import MIGRATIONS
from toolkit.store.rows import EnergyMethod
from toolkit.store.tables import SCHEMA

OPEN_AND_NAME_MODULES = """
import sys
from toolkit.store import open_store
open_store(sys.argv[1]).close()
print(*sys.modules)
"""


def migrate_to(url: str, revision: str, rows: list[tuple[str, dict[str, object]]]) -> None:
    """A store as an older toolkit left it, holding ``rows`` of (table, values)."""
    engine = connect(url, busy_timeout_s=5)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with transaction(engine, writes=True) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        metadata = sa.MetaData()
        metadata.reflect(connection)
        for table, values in rows:
            connection.execute(sa.insert(metadata.tables[table]), values)
    engine.dispose()


FIRST = [
    ("devices", {"key": "d", "serial": "s", "kind": "adb", "emulated": False}),
    (
        "artifacts",
        dict(sha256="a", name="n", model="m", model_type="llama", backend="onnxruntime", backend_version="1",
             quantization="8w", scheme="8w", algorithm="rtn", context_length=8, size_bytes=1,
             unique_parameters=1, stored_parameters=1, manifest={"kept": True}),
    ),
    (
        "runs",
        dict(id="r", device_key="d", artifact_sha256="a", status="ok", protocol=1, created_unix_ns=1,
             toolkit_version="0", engine="onnxruntime", engine_version="1", abi="x", bundle_sha256="b",
             argv=[], prompt_tokens=4, generate_tokens=3, depth=0, prefill_chunk=0, context_length=8,
             warmup=1, repetitions=1, threads=1, affinity=[]),
    ),
    ("repetitions", {"run_id": "r", "index": 0, "warmup": True, "started_unix_ns": 1, "prefill_ns": 5,
                     "decode_ns": [3, 4]}),
    ("repetitions", {"run_id": "r", "index": 1, "warmup": False, "started_unix_ns": 2, "prefill_ns": 6,
                     "decode_ns": []}),
]  # fmt: skip


def test_a_store_of_the_first_version_keeps_its_runs_and_gains_decode_totals(new_url: str) -> None:
    migrate_to(new_url, "0001", FIRST)
    with open_store(new_url) as store:
        repetitions = store.get_run("r").repetitions
        with store.reading() as connection:
            totals = connection.execute(
                sa.text('SELECT decode_total_ns FROM repetitions ORDER BY "index"')
            ).scalars()
            assert list(totals) == [7, 0]
            assert store.manifest("a") == {"kept": True}
    assert [(row.prefill_ns, tuple(row.decode_ns)) for row in repetitions] == [(5, (3, 4)), (6, ())]


def test_the_schema_that_stores_are_compared_with_is_the_newest_migration() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [SCHEMA]


def test_a_store_of_this_schema_is_opened_without_alembic(store_url: str) -> None:
    """Importing it takes longer than listing a million repetitions."""
    opened = subprocess.run(
        [sys.executable, "-c", OPEN_AND_NAME_MODULES, store_url], check=True, capture_output=True, text=True
    )
    modules = opened.stdout.split()
    assert "sqlalchemy" in modules
    assert "alembic" not in modules


ENERGY = [
    *FIRST[:2],
    (
        "runs",
        {
            **FIRST[2][1],
            **dict(peak_bytes=9, major_faults=2, decode_tokens_per_second=12.5, gate="default",
                   energy_source="/sys/current_now", energy_interval_ms=100, energy_samples=40,
                   energy_charging=False, mean_watts=6.0, baseline_watts=1.25, decode_joules_per_token=0.5),
        },
    ),
    ("repetitions", {**FIRST[4][1], "decode_total_ns": 5, "prefill_joules": 3.0, "throttled": False}),
    ("tags", {"run_id": "r", "tag": "v1"}),
    ("conditions", {"run_id": "r", "moment": "before", "unix_ns": 1, "battery_celsius": 21.5}),
]  # fmt: skip


def test_a_store_with_energy_in_columns_keeps_its_runs_as_measurements(new_url: str) -> None:
    migrate_to(new_url, "0003", ENERGY)
    with open_store(new_url) as store:
        stored = store.get_run("r")
        assert store.run_ids("tag = 'v1' and mean_watts = 6 and decode = 12.5") == ["r"]
        assert sa.inspect(store.engine).get_table_names().count("runs") == 1
    assert {(one.name, one.repetition): (one.value, one.unit) for one in stored.measurements} == {
        ("mean_watts", None): (6.0, "W"),
        ("baseline_watts", None): (1.25, "W"),
        ("decode_joules_per_token", None): (0.5, "J"),
        ("prefill_joules", 1): (3.0, "J"),
    }
    run = stored.run
    assert run.energy == EnergyMethod("/sys/current_now", 100, 40, charging=False)
    assert (run.peak_bytes, run.major_faults, run.gate) == (9, 2, "default")
    assert stored.repetitions[0].throttled is False and stored.conditions[0].battery_celsius == 21.5


def test_a_store_without_settings_and_origins_keeps_its_runs_in_one_group(new_url: str) -> None:
    repetition = {**FIRST[4][1], "decode_ns": [3, 4], "decode_total_ns": 7}
    run = {**FIRST[2][1], "decode_tokens_per_second": 12.5}
    migrate_to(new_url, "0004", [*FIRST[:2], ("runs", run), ("repetitions", repetition)])
    with open_store(new_url) as store:
        old = store.get_run("r")
        assert (old.run.settings, old.run.recipe, old.run.batch) == (None, None, None)
        store.add_run(replace(old, run=replace(old.run, id="today")), {})
        [group] = load_groups(store, find_figure("decode"))
        assert {one.run_id for one in group.runs} == {"r", "today"}
