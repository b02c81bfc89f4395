"""CPUs as kernels list them: counted by what is possible, each value at its CPU's number."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.devices.cpus import (
    CPUS_SCRIPT,
    FOLDER,
    Cpus,
    cpu_list_words,
    cpus_text,
    parse_cpu_list,
    parse_cpus,
)

PHONE = """
possible 0-3
present 0-3
online 0-3
cpu 0 - 300000 1800000 1800000
cpu 1 1 300000 1800000 1800000
cpu 2 1 2400000 2400000 2400000
cpu 3 1 2400000 2400000 2400000
"""


def test_a_phone_with_all_its_cores() -> None:
    assert parse_cpus(PHONE) == Cpus(
        count=4,
        online=(0, 1, 2, 3),
        frequencies_khz=(300_000, 300_000, 2_400_000, 2_400_000),
        caps_khz=(1_800_000, 1_800_000, 2_400_000, 2_400_000),
        maxima_khz=(1_800_000, 1_800_000, 2_400_000, 2_400_000),
    )


@pytest.mark.parametrize(
    "off",
    [
        [("online 0-3", "online 0,2-3")],
        [("cpu 1 1", "cpu 1 0")],
        [("online 0-3", "online -"), ("cpu 1 1", "cpu 1 0")],
        # Some kernels take the folder away with the core.
        [("online 0-3", "online 0,2-3"), ("cpu 1 1 300000 1800000 1800000\n", "")],
    ],
)
def test_a_core_that_is_off_leaves_the_others_where_they_are(off: list[tuple[str, str]]) -> None:
    text = PHONE
    for old, new in off:
        text = text.replace(old, new)
    cpus = parse_cpus(text)
    assert (cpus.count, cpus.online) == (4, (0, 2, 3))
    assert cpus.caps_khz == (1_800_000, None, 2_400_000, 2_400_000)


def test_what_cannot_be_read_is_unknown_and_never_zero() -> None:
    cpus = parse_cpus(PHONE.replace("2400000 2400000 2400000", "<unknown> - 0"))
    assert cpus.frequencies_khz == (300_000, 300_000, None, None)
    assert cpus.caps_khz == cpus.maxima_khz == (1_800_000, 1_800_000, None, None)
    assert parse_cpus("possible 0-7\npresent 0-7\nonline 0-7\ncpu 0 - - - -\n") == Cpus(8, tuple(range(8)))
    assert parse_cpus("possible -\npresent -\nonline -\n") == parse_cpus("") == Cpus()
    assert parse_cpus(PHONE.replace("possible 0-3", "possible x")).count is None


def test_sockets_that_hold_no_processor_are_not_counted() -> None:
    text = PHONE.replace("possible 0-3", "possible 0-127")
    assert parse_cpus(text) == parse_cpus(PHONE)
    assert parse_cpus(text.replace("present 0-3", "present -")).count == 128


@pytest.mark.parametrize("text", ["", "-", "3-1", "0-3,", "0 1", "0-99999", "0-3;4", "all"])
def test_what_is_no_list_of_cpus(text: str) -> None:
    assert parse_cpu_list(text) is None


@given(st.sets(st.integers(0, 300), min_size=1))
def test_a_list_of_cpus_for_people_reads_back(cpus: set[int]) -> None:
    assert parse_cpu_list(cpu_list_words(cpus).split()[1]) == tuple(sorted(cpus))


@given(st.text(st.sampled_from("cpu possblentio 0123456789-,\n"), max_size=200))
def test_no_text_makes_it_fail(text: str) -> None:
    parse_cpus(text)


def test_the_shell_and_this_machine_say_the_same(tmp_path: Path) -> None:
    """The script on a made folder, as phones and boards run it, against the same files read here."""
    values = {"possible": "0-2", "online": "0,2", "cpu1/online": "0", "cpu0/cpufreq/scaling_max_freq": "9"}
    values |= {f"cpu{cpu}/cpufreq/cpuinfo_max_freq": f"{10 + cpu}" for cpu in range(3)}
    for name, value in values.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{value}\n")
    (tmp_path / "cpufreq").mkdir()
    script = re.sub(re.escape(FOLDER), str(tmp_path), CPUS_SCRIPT)
    printed = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)

    def first_line(name: str) -> str | None:
        return (tmp_path / name).read_text().strip() if (tmp_path / name).is_file() else None

    assert printed.stderr == ""
    assert printed.stdout.strip() == cpus_text(first_line, range(3))
    assert parse_cpus(printed.stdout) == Cpus(3, (0, 2), None, (9, None, None), (10, 11, 12))
