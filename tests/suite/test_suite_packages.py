"""What a run says about Debian packages that are not there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import debian_packages
import pytest
from debian_packages import listed_packages, summary_line, with_earlier_parts

CHECKOUT = Path(__file__).parents[2]
INSTALL = ".ci/install-packages" if os.geteuid() == 0 else "sudo .ci/install-packages"


def test_a_run_ends_with_what_was_skipped_and_the_command_that_brings_it(tmp_path: Path) -> None:
    for program in ("sh", "dpkg-query"):
        if found := shutil.which(program):
            (tmp_path / program).symlink_to(found)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        + ["tests/devices/test_devices_android_shell.py"],
        cwd=CHECKOUT,
        # Its skips are not those of the run that it is a part of.
        env={**os.environ, "PATH": str(tmp_path), "SLM_SKIP_REASONS": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [line] = [line for line in done.stdout.splitlines() if "skipped without" in line]
    assert re.fullmatch(rf"\d+ tests were skipped without Debian's .*\bmksh\b.*; to run all: {INSTALL}", line)
    assert (CHECKOUT / ".ci" / "install-packages").stat().st_mode & 0o111


def test_packages_are_named_once_and_as_they_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian_packages, "not_installed", set)
    reasons = [
        "needs Debian's package g++-aarch64-linux-gnu",
        "no PostgreSQL server here: install Debian's package `postgresql`",
        "needs Debian's packages chromium and chromium-driver",
        "needs Debian's packages chromium and chromium-driver",
        "no network",
    ]
    assert summary_line(reasons) == (
        "4 tests were skipped without Debian's chromium, chromium-driver, g++-aarch64-linux-gnu, postgresql; "
        f"to run all: {INSTALL}"
    )


def test_the_last_part_tells_of_all_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLM_SKIP_REASONS", str(tmp_path / "reasons"))
    assert with_earlier_parts(["needs Debian's package mksh", "no\nnetwork"]) == [
        "needs Debian's package mksh",
        "no\nnetwork",
    ]
    assert with_earlier_parts([])[0] == "needs Debian's package mksh"
    monkeypatch.delenv("SLM_SKIP_REASONS")
    assert with_earlier_parts(["alone"]) == ["alone"]


def test_missing_packages_that_no_reason_names_are_in_the_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian_packages, "not_installed", lambda: {"qemu-user-static"})
    line = summary_line(["needs Debian's package g++-aarch64-linux-gnu"])
    assert line and "1 test was skipped without Debian's g++-aarch64-linux-gnu, qemu-user-static;" in line


def test_other_reasons_are_no_matter_of_packages() -> None:
    assert summary_line([]) is None
    assert summary_line(["chroot needs root", "the demo model cannot be had: no network"]) is None


def test_every_package_that_a_test_asks_for_is_listed() -> None:
    asked: set[str] = set()
    for path in (CHECKOUT / "tests").glob("*/*.py"):
        asked |= set(re.findall(r"\"[^\"\n]*Debian's packages? `?([\w+-]+)", path.read_text()))
    assert asked and asked <= set(listed_packages())
