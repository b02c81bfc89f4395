from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from stored_runs import MANIFEST, RUN, stored_run

from toolkit.analysis.compared_figures import Figure, find_figure
from toolkit.analysis.groups import load_groups
from toolkit.errors import StoreError, UsageError
from toolkit.store import Store
from toolkit.store.columns import all_columns
from toolkit.store.export import export
from toolkit.store.importing import import_file
from toolkit.store.measurements import VOCABULARY, Quantity, measurement
from toolkit.store.read_only import ask
from toolkit.store.rows import EnergyMethod, Measurement, StoredRun

JOULES = find_figure("decode_joules_per_token")


def with_energy(run_id: str, watts: float) -> StoredRun:
    method = EnergyMethod(source="/sys/battery", interval_ms=100, samples=3, charging=False)
    return replace(
        stored_run(id=run_id, energy=method),
        measurements=(
            measurement("mean_watts", watts),
            measurement("decode_joules_per_token", watts / 100),
            measurement("decode_joules", 3.5, 1),
        ),
    )


@pytest.fixture
def three(store: Store) -> Store:
    for stored in (with_energy("low", 2.0), with_energy("high", 5.0), stored_run(id="none")):
        store.add_run(stored, MANIFEST)
    return store


@pytest.fixture
def made_up() -> Iterator[Quantity]:
    quantity = Quantity("expert_loads", "1", "experts that were read, for this test")
    VOCABULARY.register(quantity.name, quantity)
    yield quantity
    VOCABULARY._entries.pop(quantity.name)


def exported(store: Store, format_name: str, ids: list[str]) -> bytes:
    stream = io.BytesIO()
    export(store, ids, format_name, stream)
    return stream.getvalue()


def test_measurements_come_back_with_their_run(three: Store) -> None:
    assert three.get_run("low") == with_energy("low", 2.0)
    assert three.get_run("none").run.energy is None
    [listed] = three.list_runs(where="id = 'high'")
    assert (listed.measured("mean_watts"), listed.measured("decode_joules")) == (5.0, None)
    assert listed.run.energy == with_energy("high", 5.0).run.energy


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("mean_watts > 3", {"high"}),
        ("mean_watts in (2, 5)", {"low", "high"}),
        ("mean_watts is null", {"none"}),
        ("mean_watts != 2", {"high", "none"}),
        ("mean_watts > 1 and not energy_charging", {"low", "high"}),
    ],
)
def test_runs_are_filtered_by_measurements(three: Store, where: str, found: set[str]) -> None:
    assert set(three.run_ids(where)) == found


def test_runs_are_sorted_by_measurements_unknown_last(three: Store) -> None:
    assert [row.run.id for row in three.list_runs(sort=["-mean_watts"])] == ["high", "low", "none"]
    assert [row.run.id for row in three.list_runs(sort=["mean_watts"], limit=1)] == ["low"]


def test_runs_are_compared_by_measurements(three: Store) -> None:
    [group] = load_groups(three, JOULES)
    assert sorted(group.values) == [0.02, 0.05]


def test_sql_shows_measurements_as_columns_of_their_runs(three: Store) -> None:
    answer = ask(three, "SELECT id, mean_watts FROM runs WHERE mean_watts > 3")
    assert answer.rows == [("high", 5.0)]
    joules = ask(three, "SELECT decode_joules FROM repetitions WHERE run_id = 'low' ORDER BY \"index\"")
    assert joules.rows == [(None,), (3.5,), (None,)]
    assert ask(three, "SELECT * FROM runs").columns[0] == "id"
    # The views are gone with the question.
    assert three.add_run(with_energy("after", 1.0), MANIFEST)
    with three.reading() as connection:
        assert "mean_watts" not in {column["name"] for column in sa.inspect(connection).get_columns("runs")}


def test_exports_have_a_column_for_each_measurement(three: Store, tmp_path: Path) -> None:
    high, none = csv.DictReader(io.StringIO(exported(three, "csv", ["high", "none"]).decode()))
    assert (high["mean_watts"], none["mean_watts"]) == ("5.0", "")
    assert high["energy_source"] == "/sys/battery"
    rows = pq.read_table(io.BytesIO(exported(three, "parquet", ["high"]))).to_pylist()
    assert [row["mean_watts"] for row in rows] == [5.0] * 3
    assert [row["repetition_decode_joules"] for row in rows] == [None, 3.5, None]


def test_an_export_is_imported_with_its_measurements(three: Store, sqlite_url: str, tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_bytes(exported(three, "jsonl", ["low"]))
    with_ids = path.read_text().replace('"low"', '"another"')
    path.write_text(with_ids)
    import_file(three, path)
    assert three.get_run("another").measurements == three.get_run("low").measurements


def first_schema() -> dict[str, Any]:
    """A run as the toolkit exported it when energy stood among the run's fields."""
    data = asdict(with_energy(RUN.id, 5.0))
    del data["measurements"]
    energy = data["run"].pop("energy")
    data["run"] |= {f"energy_{name}": value for name, value in energy.items()}
    data["run"] |= {
        "baseline_watts": None, "mean_watts": 5.0, "net_watts": None, "joules_per_prompt": None,
        "prefill_joules_per_token": None, "decode_joules_per_token": 0.05, "battery_rise_celsius": None,
        "cpu_rise_celsius": None,
    }  # fmt: skip
    for repetition in data["repetitions"]:
        joules = 3.5 if repetition["index"] == 1 else None
        repetition |= {"prefill_joules": None, "decode_joules": joules}
    return {"schema": "slm-stored-run/1", **data, "manifest": MANIFEST, "tags": []}


def test_an_export_of_the_first_schema_is_imported_whole(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "old.jsonl"
    path.write_text(json.dumps(first_schema()) + "\n")
    assert import_file(store, path).added == 1
    assert store.get_run(RUN.id) == with_energy(RUN.id, 5.0)


def test_a_run_that_was_given_up_leaves_no_measurements_behind(store: Store) -> None:
    lost = replace(with_energy(RUN.id, 1.0), run=stored_run(status="device_lost").run)
    store.add_run(lost, MANIFEST)
    assert store.add_run(with_energy(RUN.id, 2.0), MANIFEST)
    assert store.get_run(RUN.id).measured("mean_watts") == 2.0


def test_a_name_has_one_value_for_a_run(store: Store) -> None:
    twice = replace(stored_run(), measurements=(measurement("mean_watts", 1), measurement("mean_watts", 2)))
    with pytest.raises(StoreError, match="refused"):
        store.add_run(twice, MANIFEST)
    assert store.list_runs() == []


def test_a_name_of_a_newer_vocabulary_is_kept(store: Store) -> None:
    unknown = Measurement(name="router_entropy", value=0.5, unit="nat")
    store.add_run(replace(stored_run(), measurements=(unknown,)), MANIFEST)
    assert store.get_run(RUN.id).measurements == (unknown,)
    assert store.list_runs()[0].measured("router_entropy") == 0.5


def test_a_name_outside_of_the_vocabulary_is_not_made() -> None:
    with pytest.raises(UsageError, match="Did you mean 'mean_watts'"):
        measurement("mean_wats", 1)
    with pytest.raises(ValueError, match="each repetition"):
        measurement("decode_joules", 1)
    with pytest.raises(ValueError, match="cannot be the name"):
        Quantity("x'; DROP", "W", "hostile")


def test_no_measurement_is_called_like_a_column() -> None:
    stored = {"run": "runs", "repetition": "repetitions"}
    from toolkit.store import tables

    for name in VOCABULARY:
        assert name not in tables.metadata.tables[stored[VOCABULARY.get(name).of]].columns


def test_a_new_name_is_stored_filtered_exported_and_asked_without_a_migration(
    store: Store, made_up: Quantity
) -> None:
    store.add_run(replace(stored_run(), measurements=(measurement(made_up.name, 7),)), MANIFEST)
    store.add_run(stored_run(id="other"), MANIFEST)
    assert all_columns()[made_up.name].kind == "number"
    assert store.run_ids(f"{made_up.name} = 7") == [RUN.id]
    assert [row.run.id for row in store.list_runs(sort=[f"-{made_up.name}"])] == [RUN.id, "other"]
    [row] = csv.DictReader(io.StringIO(exported(store, "csv", [RUN.id]).decode()))
    assert float(row[made_up.name]) == 7
    assert pq.read_table(io.BytesIO(exported(store, "parquet", [RUN.id])))[made_up.name][0].as_py() == 7
    assert ask(store, f"SELECT {made_up.name} FROM runs ORDER BY id").rows[0] == (7,)
    assert load_groups(store, Figure(made_up.name, "1", 1, False))[0].values == [7.0]
