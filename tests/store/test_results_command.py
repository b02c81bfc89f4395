from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from stored_runs import MANIFEST, stored_run

from toolkit.store import Store


def slm(store_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "toolkit.cli.main", "results", *arguments],
        env={**os.environ, "SLM_STORE_URL": store_url},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def filled(store: Store) -> Store:
    store.add_run(stored_run(), MANIFEST)
    failed = stored_run(
        id="zyxw000000000000",
        serial="R5CT[1]",
        emulated=False,
        status="token_mismatch",
        error="greedy tokens part",
        greedy_matched=3,
        prefill_tokens_per_second=None,
        decode_tokens_per_second=None,
        peak_bytes=None,
        created_unix_ns=1,
    )
    store.add_run(failed, MANIFEST)
    return store


def test_the_listing_fits_100_columns_and_marks_emulated(filled: Store, store_url: str) -> None:
    done = slm(store_url, "list")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and max(map(len, lines)) <= 100
    assert "".join(lines).count("(emulated)") == 1
    for word in ("0123456", "8da4w", "512.0", "100.0", "250", "32/32", "ok", "3/32", "mismatch"):
        assert word in done.stdout, done.stdout


def test_the_listing_as_json_is_filtered(filled: Store, store_url: str) -> None:
    rows = json.loads(slm(store_url, "list", "--status", "ok", "--json").stdout)
    assert [(row["id"], row["device_emulated"]) for row in rows] == [("0123456789abcdef", True)]
    assert json.loads(slm(store_url, "list", "--device", "nobody", "--json").stdout) == []


def test_an_empty_store_says_what_to_do(store_url: str) -> None:
    done = slm(store_url, "list")
    assert done.returncode == 0 and done.stdout == "" and "slm profile" in done.stderr
    assert json.loads(slm(store_url, "list", "--json").stdout) == []


def test_show_takes_a_prefix(filled: Store, store_url: str) -> None:
    done = slm(store_url, "show", "0123")
    assert done.returncode == 0
    for words in ("0123456789abcdef", "(emulated)", "32 of 32", "512.00 tok/s", "0 (warm-up)"):
        assert words in done.stdout
    whole = json.loads(slm(store_url, "show", "zyxw", "--json").stdout)
    assert whole["run"]["status"] == "token_mismatch" and whole["device"]["serial"] == "R5CT[1]"
    assert "R5CT[1] (adb)" in slm(store_url, "show", "zyxw").stdout


def test_an_unknown_id_is_an_error_with_its_own_exit_code(filled: Store, store_url: str) -> None:
    done = slm(store_url, "show", "nothing")
    assert (done.returncode, done.stdout) == (10, "")
    assert done.stderr.startswith("error: run 'nothing': no such run")


def test_export_writes_a_file_whole(filled: Store, store_url: str, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    done = slm(store_url, "export", "--format", "jsonl", "-o", str(target))
    assert done.returncode == 0 and "2 runs written" in done.stderr
    assert len(target.read_text().splitlines()) == 2
    assert [path.name for path in tmp_path.glob(".*")] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "--format", "cvs"], "Did you mean 'csv'"),
        (["export", "-o", "/nowhere/at/all.csv"], "cannot be written"),
        (["list", "--status", "okay"], "Unknown status 'okay'"),
    ],
)
def test_bad_options(store_url: str, arguments: list[str], said: str) -> None:
    done = slm(store_url, *arguments)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
