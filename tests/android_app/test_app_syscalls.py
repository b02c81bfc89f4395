"""Under the filter of system calls that Android puts on apps: the library runs, the shell's bundle dies."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from contract import write_arguments

from toolkit.app.kotlin import find_java
from toolkit.runtime.bundle import build_bundle
from toolkit.runtime.toolchain import find_toolchain
from toolkit.settings import Settings

HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the lists are for x86-64"),
]
WORK = ("--threads", "2", "--prompt-tokens", "40", "--generate-tokens", "6", "--repetitions", "2")
# Android 14 allows what Android 10 does and more.
ANDROIDS = {"10": ("android 10",), "14": ("android 10", "android 14")}


def listed() -> dict[str, list[str]]:
    """Section -> names of calls."""
    sections: dict[str, list[str]] = {}
    for line in (HERE / "app_syscalls.txt").read_text().splitlines():
        if line.startswith("["):
            sections[line.strip("[]")] = []
        elif line and not line.startswith("#"):
            list(sections.values())[-1].extend(line.split())
    return sections


@pytest.fixture(scope="module")
def numbers() -> dict[str, int]:
    command = [find_toolchain().compiler, "-E", "-dM", "-include", "sys/syscall.h", "-x", "c++", "/dev/null"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", text)}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filter")
    compiler = [find_toolchain().compiler, "-std=c++20", "-O1", "-Wall", HERE / "syscall_filter.cpp"]
    for flags in (
        ["-shared", "-fPIC", "-o", folder / "filter.so"],
        ["-DSLM_FILTER_PROGRAM", "-o", folder / "filtered"],
    ):
        done = subprocess.run([*compiler, *flags], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    tried = subprocess.run(
        [folder / "filtered", "/bin/true"], env={"SLM_FILTER": os.devnull}, capture_output=True
    )
    if b"no filter" in tried.stderr:
        pytest.skip(f"needs a kernel that lets programs filter system calls: {tried.stderr.decode()}")
    return folder


def write_filter(
    path: Path, numbers: dict[str, int], sections: Sequence[str], absent: Sequence[str] = ()
) -> Path:
    names = listed()
    lines = [f"allow {numbers[name]}" for one in sections for name in names[one] if name in numbers]
    lines += [f"absent {numbers[name]}" for one in absent for name in names[one] if name in numbers]
    path.write_text("\n".join(lines))
    return path


def named(stderr: bytes, numbers: dict[str, int]) -> list[str]:
    """Calls that a filter found, by their names."""
    names = {number: name for name, number in numbers.items()}
    return [names[int(number)] for number in re.findall(rb"syscall (\d+)", stderr)]


def test_the_lists_hold_names_of_calls(numbers: dict[str, int]) -> None:
    sections = listed()
    everything = [name for section, names in sections.items() if section != "jvm" for name in names]
    assert len(everything) == len(set(everything)) > 200
    assert not set(sections["android 10"]) - set(numbers)


@pytest.mark.parametrize("android", ANDROIDS)
def test_a_whole_run_of_the_library_passes_the_filter_of_apps(
    android: str,
    core_jars: Sequence[Path],
    ort_library: Path,
    model: Path,
    built: Path,
    numbers: dict[str, int],
    tmp_path: Path,
) -> None:
    engine = ("--engine-library", str(ort_library / "libonnxruntime.so"))
    words = ["profile", "--model", model, "--run-id", "r1", "--output", "@run/result", *WORK, *engine]
    arguments = write_arguments(tmp_path / "arguments", *words)
    allowed = write_filter(
        tmp_path / "filter", numbers, (*ANDROIDS[android], "x86-64", "glibc"), absent=["beginnings", "jvm"]
    )
    environment = {
        "PATH": os.environ["PATH"],
        "SLM_FILTER": str(allowed),
        "LD_PRELOAD": str(built / "filter.so"),
        # Else glibc ends a program whose threads cannot have what its first one has.
        "GLIBC_TUNABLES": "glibc.pthread.rseq=0",
    }
    command = [find_java(), f"-Djava.library.path={ort_library}", "-cp", ":".join(map(str, core_jars))]
    done = subprocess.run(
        [*command, "slm.toolkit.checks.MainKt", "run", arguments],
        env=environment,
        capture_output=True,
        timeout=240,
    )
    assert named(done.stderr, numbers) == []
    assert done.stderr == b"exit 0\n"
    assert done.stdout.count(b'"record":"repetition"') == 3


@pytest.mark.parametrize("android", ANDROIDS)
def test_the_bundle_of_the_shell_dies_under_it(
    android: str, built: Path, numbers: dict[str, int], tmp_path: Path
) -> None:
    bundle = build_bundle("x86_64", Settings.from_environment(), engine="onnxruntime")
    allowed = write_filter(tmp_path / "filter", numbers, (*ANDROIDS[android], "x86-64", "glibc"))
    environment = {"SLM_FILTER": str(allowed)}
    done = subprocess.run(
        [built / "filtered", *bundle.command(str(bundle.path)), "info"],
        env=environment,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 128 + 31, done.stderr
    assert named(done.stderr, numbers) == ["set_robust_list"]
