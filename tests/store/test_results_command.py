from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
from measured_runs import add_measured
from stored_runs import MANIFEST, stored_run

from toolkit.cli.main import main
from toolkit.store import Store


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


def slm(store_url: str, *arguments: str) -> Done:
    """Run `slm results` in this process: starting Python for each takes longer than all of the rest."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("SLM_STORE_URL", store_url)
        patch.setattr(sys, "argv", ["slm", "results", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    texts = []
    for stream in (out, err):
        stream.flush()
        stream.seek(0)
        texts.append(stream.read())
    return Done(int(ended.value.code or 0), *texts)


def test_the_command_is_a_program(sqlite_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "toolkit.cli.main", "results", "list", "--where", "decod > 5"],
        env={**os.environ, "SLM_STORE_URL": sqlite_url},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (2, "") and "Did you mean 'decode'" in done.stderr


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


def test_the_listing_fits_100_columns_and_marks_emulated(
    filled: Store, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    done = slm(store_url, "list")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and max(map(len, lines)) <= 100
    assert "".join(lines).count("(emulated)") == 1
    for word in ("0123456", "8da4w", "100.0", "ok", "mismatch"):
        assert word in done.stdout, done.stdout
    monkeypatch.delenv("COLUMNS")
    done = slm(store_url, "list")
    for word in (
        "0123456789abcdef",
        "512.0 ±1.5",
        "250",
        "32/32",
        "3/32",
        "emulator-5601",
        "2023-11-14T22:13:20Z",
    ):
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
        (["export", "--format", "parquet"], "Name a file with --output"),
        (["list", "--status", "okay"], "Unknown status 'okay'"),
        (["list", "--where", "decod > 5"], "Did you mean 'decode'"),
        (["list", "--sort", "-decod"], "Did you mean 'decode'"),
        (["compare", "--axis", "bakend"], "Did you mean 'backend'"),
        (["compare", "--figure", "decod"], "Unknown figure 'decod'"),
        (["regress", "--baseline", "v1", "--fail-over", "5"], "Write it like 5%"),
        (["tag", "v1"], "Give ids, or --where"),
        (["tag", "a b", "--where", "emulated"], "is not a tag"),
        (["untag", "v1"], "needs ids or --where, or else --all"),
        (["sql", "drop table runs"], "the database refused"),
        (["import", "/nowhere/at/all.jsonl"], "cannot be read"),
    ],
)
def test_bad_options(sqlite_url: str, arguments: list[str], said: str) -> None:
    done = slm(sqlite_url, *arguments)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


@pytest.fixture
def measured(store: Store) -> Store:
    """Three runs as a baseline, and three of a version that is slower."""
    for number in range(3):
        add_measured(store, f"base{number}", decode=100, created_unix_ns=number)
        slow = {"runner_version": "0.2.0", "bundle_sha256": "c" * 64}
        add_measured(store, f"slow{number}", decode=80, created_unix_ns=10 + number, **slow)
    return store


def test_the_listing_is_filtered_sorted_and_cut(measured: Store, store_url: str) -> None:
    done = slm(store_url, "list", "--where", "decode > 90", "--sort", "-created", "--limit", "2", "--json")
    assert [row["id"] for row in json.loads(done.stdout)] == ["base2", "base1"]
    done = slm(store_url, "list", "--limit", "2")
    assert "2 of 6 runs" in done.stderr
    done = slm(store_url, "list", "--where", "decode > 900")
    assert (done.returncode, done.stdout) == (0, "") and "No run passes" in done.stderr


def test_compare_ranks_along_an_axis(
    measured: Store, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    done = slm(store_url, "compare", "--axis", "version")
    assert done.returncode == 0, done.stderr
    for words in ("0.1.0", "0.2.0", "best", "worse", "-1.00", "3 x 5", "(emulated)", "also differ"):
        assert words in done.stdout, done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    ranked = json.loads(slm(store_url, "compare", "--axis", "version", "--json").stdout)
    [ranking] = ranked["rankings"]
    assert [place["label"] for place in ranking["places"]] == ["0.1.0", "0.2.0"]
    assert ranking["places"][1]["against_best"]["verdict"] == "worse"
    assert ranking["places"][1]["against_best"]["noise_floor"]["pairs"] == 6


def test_compare_without_an_axis_ranks_nothing_and_refuses_what_differs(
    measured: Store, store_url: str
) -> None:
    groups = json.loads(slm(store_url, "compare", "--json").stdout)
    assert [len(group["runs"]) for group in groups] == [3, 3]
    assert all(group["interval"]["low"] <= group["median"] <= group["interval"]["high"] for group in groups)
    assert "noise" in slm(store_url, "compare").stdout
    done = slm(store_url, "compare", "base0", "slow0", "--axis", "threads")
    assert (done.returncode, done.stdout) == (10, "")
    assert "runner_version: 0.2.0 and 0.1.0" in done.stderr


def test_regress_fails_ci_on_a_regression_only(
    measured: Store, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert "3 runs tagged v1" in slm(store_url, "tag", "v1", "--where", "decode > 90").stderr
    assert slm(store_url, "tags").stdout.split()[:2] == ["v1", "3"]
    assert json.loads(slm(store_url, "show", "base0", "--json").stdout)["tags"] == ["v1"]
    assert "v1" in slm(store_url, "show", "base0").stdout
    done = slm(store_url, "regress", "--baseline", "v1", "--fail-over", "5%")
    assert done.returncode == 1 and "worse by more than 5%: 1" in done.stderr
    assert "worse" in done.stdout and max(map(len, done.stdout.splitlines())) <= 100
    done = slm(store_url, "regress", "--baseline", "v1", "--fail-over", "50%", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["regressions"] == 0
    done = slm(store_url, "regress", "--baseline", "v1", "--where", "threads = 1")
    assert done.returncode == 10 and "no run to check" in done.stderr
    assert "3 runs untagged" in slm(store_url, "untag", "v1", "--all").stderr


def test_cannot_tell_fails_strict_checks_in_every_format(store: Store, store_url: str) -> None:
    for number in range(3):
        add_measured(store, f"base{number}", decode=100, created_unix_ns=number)
        new = {
            "runner_version": "0.2|0",
            "bundle_sha256": "c" * 64,
            "serial": "a\x01b%<&>",
            "emulated": False,
        }
        add_measured(
            store, f"old{number}", decode=100, created_unix_ns=number, **{**new, "runner_version": "1"}
        )
        add_measured(store, f"new{number}", decode=94, created_unix_ns=10 + number, **new)
    assert slm(store_url, "tag", "v1", "--where", "decode > 97").returncode == 0
    arguments = ("regress", "--baseline", "v1", "--figure", "decode", "-a", "version")
    assert slm(store_url, *arguments).returncode == 0
    table = slm(store_url, *arguments, "--strict")
    assert table.returncode == 1 and "inconclusive: 1" in table.stderr and "would tell" in table.stdout
    github = slm(store_url, *arguments, "--format", "github", "--strict").stdout.splitlines()
    assert github[0].startswith("::error title=decode inconclusive::") and "%25 .. " in github[0]
    assert any(line.startswith("::warning title=not measured again::") for line in github)
    assert slm(store_url, *arguments, "--format", "github").stdout.startswith("::warning")
    for strict, tag in ((True, "failure"), (False, "skipped")):
        junit = slm(store_url, *arguments, "--format", "junit", *(["--strict"] if strict else []))
        suite = ElementTree.fromstring(junit.stdout.split("\n", 1)[1])
        assert suite.get("tests") == "2" and suite.get("failures") == str(int(strict))
        assert suite[0].find(tag) is not None and suite[0].get("name") == "decode"
    markdown = slm(store_url, *arguments, "--format", "md").stdout
    assert "| **inconclusive** | decode |" in markdown
    data = json.loads(slm(store_url, *arguments, "--format", "json").stdout)
    assert data["inconclusive"] == 1 and data["checks"][0]["power"]["rounds"] > 3
    assert slm(store_url, *arguments, "--format", "jnuit").returncode == 2


def test_throttled_runs_are_counted_and_fail_strict_checks(store: Store, store_url: str) -> None:
    for number in range(2):
        for threads in (2, 4):
            name = f"{number}{threads}"
            add_measured(store, f"base{name}", created_unix_ns=number, threads=threads)
            status = {"status": "throttled"} if threads == 4 else {}
            add_measured(store, f"new{name}", created_unix_ns=10 + number, threads=threads, **status)
    assert slm(store_url, "tag", "v1", "--where", "created < 5").returncode == 0
    arguments = ("regress", "--baseline", "v1", "--figure", "decode")
    assert slm(store_url, *arguments).returncode == 0
    table = slm(store_url, *arguments, "--strict")
    assert table.returncode == 1 and "inconclusive: 1;" in table.stderr
    assert "2 runs were left out: 2 throttled" in table.stderr and "2 throttled" in table.stdout
    data = json.loads(slm(store_url, *arguments, "--json").stdout)
    assert data["inconclusive"] == 1 and {one["status"] for one in data["left_out"]} == {"throttled"}
    github = slm(store_url, *arguments, "--format", "github", "--strict").stdout
    assert "::error title=not measured again::" in github and "2 runs were left out" in github
    junit = slm(store_url, *arguments, "--format", "junit", "--strict").stdout
    assert 'failures="1"' in junit and "2 throttled" in junit
    assert "2 throttled" in slm(store_url, *arguments, "--format", "md").stdout
    assert "2 runs were left out: 2 throttled" in slm(store_url, "compare", "--axis", "threads").stderr


def test_a_named_figure_that_the_baseline_lacks_fails_strict_checks(store: Store, store_url: str) -> None:
    for number in range(3):
        add_measured(store, f"base{number}", created_unix_ns=number)
        add_measured(store, f"new{number}", created_unix_ns=10 + number)
    assert slm(store_url, "tag", "v1", "--where", "created < 5").returncode == 0
    arguments = ("regress", "--baseline", "v1")
    # Of those that are checked when none is named, a baseline may lack some.
    assert slm(store_url, *arguments, "--strict", "--require-all").returncode == 0
    named = (*arguments, "--figure", "decode", "--figure", "decode_joules_per_token")
    table = slm(store_url, *named)
    assert table.returncode == 0 and "inconclusive: 1;" in table.stderr
    assert "not checked: decode_joules_per_token" in table.stdout
    assert slm(store_url, *named, "--strict").returncode == 1
    data = json.loads(slm(store_url, *named, "--json").stdout)
    assert data["inconclusive"] == 1 and data["lacking"] == ["decode_joules_per_token"]
    github = slm(store_url, *named, "--format", "github", "--strict").stdout
    assert "::error title=decode_joules_per_token not checked::" in github
    junit = slm(store_url, *named, "--format", "junit", "--strict").stdout
    suite = ElementTree.fromstring(junit.split("\n", 1)[1])
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert "- not checked: decode_joules_per_token" in slm(store_url, *named, "--format", "md").stdout


def test_runs_move_from_store_to_store(
    measured: Store, store_url: str, sqlite_url: str, tmp_path: Path
) -> None:
    target = tmp_path / "runs.jsonl"
    slm(store_url, "export", "--format", "jsonl", "--where", "decode > 90", "-o", str(target))
    other = f"sqlite:///{tmp_path / 'other.db'}"
    assert "3 runs added, 0 known" in slm(other, "import", str(target)).stderr
    assert "0 runs added, 3 known" in slm(other, "import", str(target)).stderr


def test_an_import_reads_standard_input(
    measured: Store, store_url: str, sqlite_url: str, tmp_path: Path
) -> None:
    lines = slm(store_url, "export", "--format", "jsonl").stdout
    done = subprocess.run(
        [sys.executable, "-m", "toolkit.cli.main", "results", "import", "-"],
        env={**os.environ, "SLM_STORE_URL": f"sqlite:///{tmp_path / 'other.db'}"},
        input=lines, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0 and "/dev/stdin: 6 runs added" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "closed", "code"),
    [
        (["export", "--format", "jsonl"], "pipe", 141),
        (["export", "--format", "csv"], "stdout", 0),
        (["sql", "select id from runs"], "stdout", 0),
    ],
)
def test_an_output_that_nobody_takes_ends_it_quietly(
    measured: Store, store_url: str, arguments: list[str], closed: str, code: int
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-' if closed == "stdout" else 'exec "$@"', "sh"]
        + [sys.executable, "-m", "toolkit.cli.main", "results", *arguments],
        env={**os.environ, "SLM_STORE_URL": store_url},
        stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=120,
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (code, "")


def test_an_export_counts_what_it_wrote(filled: Store, store_url: str, tmp_path: Path) -> None:
    target = tmp_path / "bench.json"
    done = slm(store_url, "export", "--format", "llama-bench", "-o", str(target))
    # Of two runs one failed; a run that is ok has a row for its prefill and one for decoding.
    assert len(json.loads(target.read_text())) == 2
    assert "1 runs written" in done.stderr and "1 of 2 runs left out: not ok" in done.stderr
    assert "1 of 2 runs left out" in slm(store_url, "export", "--format", "llama-bench").stderr


def test_sql_answers_as_csv_and_json(measured: Store, store_url: str) -> None:
    question = "select id from runs order by id"
    done = slm(store_url, "sql", question, "--limit", "2")
    assert done.stdout.splitlines() == ["id", "base0", "base1"] and "only the first 2" in done.stderr
    assert json.loads(slm(store_url, "sql", question, "--json").stdout)[5] == {"id": "slow2"}


def test_the_columns_are_named(sqlite_url: str) -> None:
    named = json.loads(slm(sqlite_url, "columns", "--json").stdout)
    assert {"name": "decode_tokens_per_second", "short": "decode", "kind": "number"} in named
    assert "artifact_backend" in slm(sqlite_url, "columns").stdout
