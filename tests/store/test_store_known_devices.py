"""One device under several transports' names in the store, and stores from before identities were known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stored_runs import DEVICE, MANIFEST, stored_run
from test_store_migrations import FIRST, migrate_to

from toolkit.analysis.compared_figures import find_figure
from toolkit.analysis.groups import load_groups
from toolkit.store import open_store
from toolkit.store.filters import all_of
from toolkit.store.rows import Device, StoredRun
from toolkit.store.store import Store

WIFI = "192.168.1.20:5555"


def run_on(store: Store, run_id: str, **device: Any) -> StoredRun:
    run = stored_run(id=run_id)
    its = replace(DEVICE, emulated=False, **device)
    stored = replace(run, device=its, run=replace(run.run, device_key=its.key))
    store.add_run(stored, MANIFEST)
    return stored


def devices_of(store: Store) -> dict[str, Device]:
    return {one.run.id: one.device for one in store.list_runs()}


def test_the_first_run_whose_hardware_is_known_takes_the_earlier_ones_over(store: Store) -> None:
    run_on(store, "old", serial=WIFI, key="1" * 64)
    run_on(store, "other-model", serial=WIFI, key="2" * 64, model="Another")
    run_on(store, "new", serial=WIFI, key="3" * 64, identity="R5CT1")
    run_on(store, "later", serial=WIFI, key="4" * 64, identity="R5CT2")
    found = devices_of(store)
    assert {run_id: device.identity for run_id, device in found.items()} == {
        "old": "R5CT1", "other-model": None, "new": "R5CT1", "later": "R5CT2"
    }  # fmt: skip
    decode = find_figure("decode_tokens_per_second")
    assert sorted(len(group.runs) for group in load_groups(store, decode)) == [1, 1, 2]


def test_emulated_devices_take_nothing_over_because_ports_come_back(store: Store) -> None:
    for run_id, key, identity in (("a", "1", None), ("b", "2", "SLM1")):
        run = stored_run(id=run_id)
        its = replace(DEVICE, key=key * 64, identity=identity)
        store.add_run(replace(run, device=its, run=replace(run.run, device_key=its.key)), MANIFEST)
    assert devices_of(store)["a"].identity is None


def test_a_device_of_before_learns_its_identity_under_the_same_key(store: Store) -> None:
    run_on(store, "old", serial="R5CT1", key="1" * 64)
    run_on(store, "new", serial="R5CT1", key="1" * 64, identity="R5CT1")
    assert {device.identity for device in devices_of(store).values()} == {"R5CT1"}


def test_a_name_shows_on_all_rows_of_the_hardware_and_finds_them(store: Store) -> None:
    run_on(store, "usb", serial="R5CT1", key="1" * 64, identity="R5CT1")
    run_on(store, "wifi", serial=WIFI, key="2" * 64, identity="R5CT1", build="after an update")
    run_on(store, "foreign", serial="R58", key="3" * 64, identity="R58")
    assert store.name_device("R5CT1", "pixel7") == 2
    shown = {run_id: device.shown_name for run_id, device in devices_of(store).items()}
    assert shown == {"usb": "pixel7", "wifi": "pixel7", "foreign": "R58"}
    # A host that does not know the name stores a run all the same.
    run_on(store, "elsewhere", serial=WIFI, key="4" * 64, identity="R5CT1", build="another update")
    assert devices_of(store)["elsewhere"].name == "pixel7"
    run_on(store, "renamed", serial=WIFI, key="5" * 64, identity="R5CT1", build="third", name="pixel-7")
    assert {device.name for device in devices_of(store).values()} == {"pixel-7", None}
    for name, runs in (("pixel-7", 4), ("R5CT1", 4), (WIFI, 3), ("R58", 1), ("pixel7", 0)):
        assert store.count_runs(all_of(None, device=name)) == runs
    assert store.name_device("R5CT1", None) == 4
    assert devices_of(store)["usb"].shown_name == "R5CT1"


def test_a_store_from_before_identities_keeps_its_devices_by_their_only_name(new_url: str) -> None:
    migrate_to(new_url, "0001", FIRST)
    with open_store(new_url) as store:
        [only] = store.list_runs()
        assert (only.device.identity, only.device.name, only.device.shown_name) == (None, None, "s")
        assert store.count_runs(all_of(None, device="s")) == 1


def test_two_hosts_that_are_both_called_local_are_two_devices(store: Store) -> None:
    run_on(store, "mine", serial="local", kind="local", key="1" * 64, identity="local-aaaaaaaa")
    run_on(store, "theirs", serial="local", kind="local", key="2" * 64, identity="local-bbbbbbbb")
    decode = find_figure("decode_tokens_per_second")
    assert [len(group.runs) for group in load_groups(store, decode)] == [1, 1]
    assert store.count_runs(all_of(None, device="local-aaaaaaaa")) == 1


def test_earlier_local_runs_of_a_shared_store_are_nobodys(store: Store) -> None:
    run_on(store, "old", serial="local", kind="local", key="1" * 64)
    run_on(store, "new", serial="local", kind="local", key="2" * 64, identity="local-aaaaaaaa")
    with store.reading() as connection:
        shared = connection.dialect.name != "sqlite"
    assert devices_of(store)["old"].identity == (None if shared else "local-aaaaaaaa")
