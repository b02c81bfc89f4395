"""Delegates get the runner's backend as a program is loaded, in memory; nothing else of it changes."""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from compiled_programs import TESTS, compile_programs
from executorch.exir._serialize._program import _flatbuffer_to_program
from executorch.exir.schema import Program

from toolkit.artifact import Artifact

pytestmark = pytest.mark.timeout(900)

FROM, TO = b"XnnpackBackend", b"SlmRowsBackend"


def renamed(folder: Path, programs: Sequence[bytes]) -> list[bytes]:
    fed = b"".join(struct.pack("<q", len(each)) + each for each in programs)
    command = [folder / "executorch_renaming", FROM.decode(), TO.decode()]
    done = subprocess.run(command, input=fed, capture_output=True, timeout=300)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    assert len(done.stdout) == sum(map(len, programs))
    ends = np.cumsum([len(each) for each in programs])
    return [done.stdout[end - len(each) : end] for each, end in zip(programs, ends, strict=True)]


def flatbuffer(artifact: Artifact) -> bytes:
    """The program without the segments behind it, as ExecuTorch asks the loader for it."""
    content = (artifact.path / artifact.manifest.model_file).read_bytes()
    assert content[8:12] == b"eh00"
    return content[: struct.unpack_from("<Q", content, 16)[0]]


def read(program: bytes) -> Program:
    """By ExecuTorch's own reader."""
    return _flatbuffer_to_program(program)


@pytest.fixture
def program(convert_model: Callable[..., Artifact]) -> bytes:
    return flatbuffer(convert_model("random:llama-tiny", "8da4w", parity_check=False))


def test_only_the_delegates_of_one_backend_change(programs: Path, program: bytes) -> None:
    expected = read(program)
    delegates = [one for plan in expected.execution_plan for one in plan.delegates]
    assert len(delegates) > 2 and {one.id for one in delegates} == {FROM.decode()}
    for one in delegates:
        one.id = TO.decode()
    [got] = renamed(programs, [program])
    assert read(got) == expected


def test_the_name_elsewhere_stays(programs: Path, program: bytes) -> None:
    # An operator of the same length, by the backend's name.
    operator = b"aten::slice_copy"[: len(FROM)]
    assert program.count(operator) == 1
    elsewhere = program.replace(operator, FROM)
    [got] = renamed(programs, [elsewhere])
    assert got.count(FROM) == 1
    assert got.index(FROM) == elsewhere.index(FROM, program.index(operator))


def test_other_backends_and_what_is_no_program_stay(programs: Path, program: bytes) -> None:
    other = program.replace(FROM, b"XnnpackBackenX")
    rest = [other, b"", b"x", bytes(64), FROM * 8, program[:64], bytes(range(256)) * 40]
    assert renamed(programs, rest) == rest


def damaged(program: bytes, seed: int, count: int) -> list[bytes]:
    """Up to five bytes changed, most of them in tables, or cut somewhere."""
    generator = np.random.default_rng(seed)
    # Tables and their offsets stand where the text is thin; all of the program is at stake all the same.
    mutants = []
    for _ in range(count):
        content = bytearray(program)
        for at in generator.integers(0, len(content), generator.integers(1, 6)):
            content[at] = generator.choice([0, 1, 0x7F, 0x80, 0xFF, int(generator.integers(256))])
        cut = int(generator.integers(len(content))) if generator.random() < 0.2 else len(content)
        mutants.append(bytes(content[:cut]))
    return mutants


def only_names_changed(before: bytes, after: bytes) -> bool:
    places = [match.start() for match in re.finditer(re.escape(FROM), before)]
    whole = bytearray(after)
    for at in places:
        if whole[at : at + len(TO)] == TO:
            whole[at : at + len(FROM)] = FROM
    return bytes(whole) == before


def test_of_damaged_programs_nothing_but_names_changes(programs: Path, program: bytes) -> None:
    mutants = damaged(program, 1, 400)
    for before, after in zip(mutants, renamed(programs, mutants), strict=True):
        assert only_names_changed(before, after)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_damaged_programs_are_read_within_their_memory(program: bytes, tmp_path: Path) -> None:
    build = compile_programs(
        tmp_path,
        "executorch_renaming",
        engines=["executorch"],
        SLM_SANITIZE="address,undefined",
        CMAKE_BUILD_TYPE="Debug",
    )
    sanitized = build / TESTS
    for seed in range(20):
        mutants = damaged(program, 100 + seed, 1000)
        for before, after in zip(mutants, renamed(sanitized, mutants), strict=True):
            assert only_names_changed(before, after)
