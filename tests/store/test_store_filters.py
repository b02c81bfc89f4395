from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from measured_runs import add_measured
from stored_runs import MANIFEST, stored_run

from toolkit.devices.base import DeviceKind
from toolkit.devices.battery import PowerSource
from toolkit.errors import BadFilter
from toolkit.profiling.gate_options import GateName
from toolkit.store import Store, open_store
from toolkit.store.columns import all_columns
from toolkit.store.filters import all_of, parse_filter
from toolkit.store.rows import Status

DAY_NS = 86_400 * 10**9


@pytest.fixture
def four(store: Store) -> Store:
    add_measured(store, "a", decode=50, created_unix_ns=1 * DAY_NS, threads=1)
    add_measured(store, "b", decode=100, created_unix_ns=2 * DAY_NS, emulated=False, serial="R5'; --")
    et = {"sha256": "e" * 64, "backend": "executorch", "model": "org/50%_model", "group_size": None}
    add_measured(store, "c", decode=150, created_unix_ns=3 * DAY_NS, artifact=et, engine="executorch")
    failed = stored_run(
        id="d",
        status="error",
        error='it said "no"',
        decode_tokens_per_second=None,
        created_unix_ns=4 * DAY_NS,
    )
    store.add_run(failed, MANIFEST)
    return store


def ids(store: Store, where: str) -> str:
    return "".join(sorted(summary.run.id for summary in store.list_runs(where=where)))


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("decode > 60", "bc"),
        ("decode > 60 and backend = 'executorch'", "c"),
        ("decode_tokens_per_second >= 1.2e2 OR status != 'ok'", "cd"),
        ("threads = 1 or threads = 2 and backend = 'executorch'", "ac"),
        ("(threads = 1 or threads = 2) and backend = 'executorch'", "c"),
        ("not emulated", "b"),
        ("emulated and not (decode < 60 or decode is null)", "c"),
        ("emulated = false", "b"),
        ("serial = 'R5''; --'", "b"),
        ("""serial = "R5'; --" """, "b"),
        ("model contains '50%_'", "c"),
        ("model contains 'ORG/'", "c"),
        ("not model contains 'org/'", "abd"),
        ("model not contains 'org/'", "abd"),
        ("error contains '\"no\"'", "d"),
        ("decode is null", "d"),
        ("decode is not null", "abc"),
        ("status in ('error', 'timeout')", "d"),
        ("threads not in (1)", "bcd"),
        ("group_size != 32", "c"),
        ("created >= '1970-01-03' and created < '1970-01-04T00:00'", "b"),
        ("created = '1970-01-03T01:00+01:00'", "b"),
        ("created = '1970-01-03'", "b"),
        ("created != '1970-01-03'", "acd"),
        ("created <= '1970-01-03'", "ab"),
        ("created > '1970-01-03'", "cd"),
        ("created < '1970-01-03'", "a"),
        ("created in ('1970-01-03', '1970-01-04T00')", "bc"),
        ("created not in ('19700103')", "acd"),
        ("created = '1970-01-03T00:00:00.000000Z'", "b"),
        ("created = '1970-01-03T00:00:00.000001'", ""),
        ("created_unix_ns > 300_000_000_000_000", "d"),
        ("  id   =   'a'  ", "a"),
        ("decode = 50 or decode = 5", ""),
        ("artifact_sha256 = 'nothing'", ""),
    ],
)
def test_filters_find(four: Store, where: str, found: str) -> None:
    assert ids(four, where) == found
    assert four.count_runs(where) == len(found)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("decod > 5", "unknown column 'decod' .character 1..*Did you mean 'decode'"),
        ("status = 'ok' and bakend = 'x'", "unknown column 'bakend' .character 19..*Did you mean 'backend'"),
        ("decode > 'fast'", "compared with a number .character 10"),
        ("backend = executorch", "needs a value for artifact_backend.*Put text in quotes: 'executorch'"),
        ("backend = 'executorch", "cannot be read from"),
        ("decode >", "needs a value"),
        ("decode", "where a test of decode_tokens_per_second"),
        ("decode > 5 6", "has '6' where 'and', 'or' or the end"),
        ("(decode > 5", "ends where '\\)' should be"),
        ("decode in ()", "needs a value"),
        ("", "ends where a column should be"),
        ("and", "has 'and' where a column should be"),
        ("emulated = 1", "true or false"),
        ("emulated > true", "has no order"),
        ("decode contains 'x'", "decode_tokens_per_second is compared with a number"),
        ("created > 'yesterday'", "is not a date.*2026-11-22"),
        ("threads = 1e300", "out of range"),
        ("created < '2300-01-01'", "out of range.*1678 to 2262"),
        ("created > '0001-01-01'", "out of range"),
        ("created in ('2026-01-01', '9999-12-31T23:59+00:00')", "out of range"),
        ("status = 'ok'; DROP TABLE runs", "cannot be read from ';"),
        ("1 = 1", "has '1' where a column should be"),
        ("decode = threads", "needs a value for decode_tokens_per_second"),
        ("status = 'OK'", "status is never 'OK' .character 10.*Did you mean 'ok'. Available: ok, throttled"),
        ("status != 'done'", "status is never 'done'.*Available: ok, throttled"),
        ("status in ('ok', 'lost')", "status is never 'lost' .character 18"),
        ("gate = 'of'", "gate is never 'of'.*Did you mean 'off'"),
        ("power_source = 'plug'", "power_source is never 'plug'.*Available: ac, usb"),
        ("device_kind = 'phone'", "device_kind is never 'phone'.*Available: local, adb, ssh, imported"),
        ("created = '2026-W47'", "is not a date"),
        ("created = '2026-11-31'", "is not a date"),
        ("(" * 80 + "decode > 1" + ")" * 80, "nested deeper"),
        ("not " * 80 + "emulated", "nested deeper"),
        ("status = 'a\0b'", "cannot be in a text"),
    ],
)
def test_what_cannot_be_read_is_said(where: str, said: str) -> None:
    with pytest.raises(BadFilter, match=f"(?s){said}"):
        parse_filter(where)


def test_the_words_of_a_filter_are_those_that_are_written() -> None:
    written = {
        "status": get_args(Status),
        "gate": (*get_args(GateName), "unattended"),
        "power_source": (*get_args(PowerSource), "changed"),
        "device_kind": (*get_args(DeviceKind), "imported"),
    }
    assert {name: tuple(column.words) for name, column in all_columns().items() if column.words} == written


def test_a_time_as_a_listing_shows_it_finds_its_run(store: Store) -> None:
    begun = 1_700_000_000_123_456_789
    store.add_run(stored_run(id="one", created_unix_ns=begun), MANIFEST)
    for shown in ("2023-11-14", "2023-11-14T22:13", "2023-11-14T22:13:20Z", "2023-11-14 22:13:20.123456"):
        assert ids(store, f"created = '{shown}'") == "one", shown
        assert ids(store, f"created <= '{shown}' and created >= '{shown}'") == "one"
        assert ids(store, f"created < '{shown}' or created > '{shown}' or created != '{shown}'") == ""
    assert ids(store, "created = '2023-11-14T22:13:20.123457'") == ""


def test_listings_are_sorted_unknown_last(four: Store) -> None:
    def order(*sort: str) -> str:
        return "".join(summary.run.id for summary in four.list_runs(sort=sort))

    assert order() == "dcba"
    assert order("decode") == "abcd"
    assert order("-decode") == "cbad"
    assert order("backend", "-decode") == "cbad"
    assert order("threads", "created") == "abcd"
    assert "".join(run.run.id for run in four.list_runs(sort=["-decode"], limit=2)) == "cb"
    with pytest.raises(BadFilter, match="Did you mean 'decode'"):
        order("-decod")
    with pytest.raises(BadFilter, match="several"):
        order("tag")


def test_the_listings_short_options_join_the_filter(four: Store) -> None:
    where = all_of("decode > 10", statuses=["ok"], device="emulator-5601", model="SMOL")
    assert [run.run.id for run in four.list_runs(where=where)] == ["a"]
    assert len(four.list_runs(where=all_of(None))) == 4


def test_every_column_can_be_filtered_and_sorted_by(four: Store) -> None:
    values = {"text": "'x'", "number": "1", "boolean": "true", "time": "'2026-11-22'", "tag": "'x'"}
    for column in all_columns().values():
        value = f"'{column.words[0]}'" if column.words else values[column.kind]
        four.count_runs(f"{column.name} = {value}")
        if column.kind != "tag":
            four.list_runs(sort=[column.name], limit=1)


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[Store]:
    with open_store("sqlite://") as store:
        yield store


PIECES = [
    *"()=<>!,'\"",
    "and",
    "or",
    "not",
    "in",
    "is",
    "null",
    "contains",
    "decode",
    "status",
    "emulated",
    "tag",
]
PIECES += ["created", "'x'", "5", "-1e9", "true", "--", ";", "%", "\\", "nan", "0x1", "1_0", " "]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join) | st.text(max_size=40))
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_is_a_filter_or_a_clear_error(fuzzed: Store, text: str) -> None:
    try:
        fuzzed.count_runs(text)
    except BadFilter as error:
        assert error.next_step


def test_runs_are_found_by_what_made_them(store: Store) -> None:
    store.add_run(stored_run(id="one", recipe="nightly", batch="b1"), MANIFEST, ["main", "arm"])
    store.add_run(stored_run(id="two", recipe="nightly", batch="b2"), MANIFEST, ["main", "main"])
    store.add_run(stored_run(id="three"), MANIFEST)
    store.add_run(stored_run(id="one", recipe="other"), MANIFEST, ["late"])
    assert set(store.run_ids(all_of(None, recipe="nightly"))) == {"one", "two"}
    assert store.run_ids(all_of(None, recipe="nightly", batch="b2")) == ["two"]
    assert store.run_ids(all_of(None, tags=["main", "arm"])) == ["one"]
    assert store.run_ids("recipe is null") == ["three"]
    assert store.run_ids("tag = 'late'") == [], "a run that was there is left alone"
