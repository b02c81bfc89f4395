"""`slm profile --kernels` reaches the runner."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from toolkit.cli.main import app
from toolkit.errors import RunnerFailed
from toolkit.profiling.flags import profile_flags
from toolkit.profiling.request import ProfileRequest
from toolkit.profiling.session.ending import ending_of_exit_code
from toolkit.runtime.runner_source import runner_source

SET_NAME = re.compile(r'const KernelSet k\w+\{\s*"([^"]+)"')


KERNELS = ["own", "engine", "own:avx512vnni", "own:avx2", "own:neon-dotprod", "own:portable"]


@pytest.mark.parametrize("kernels", KERNELS)
def test_the_choice_becomes_a_flag_of_the_runner(kernels: str) -> None:
    flags = profile_flags("/run", "id", ProfileRequest.model_validate({"kernels": kernels}), None)
    assert flags[flags.index("--kernels") + 1] == kernels


def test_without_a_choice_the_runner_decides() -> None:
    assert "--kernels" not in profile_flags("/run", "id", ProfileRequest(), None)


def test_other_kernels_are_refused() -> None:
    with pytest.raises(ValidationError, match="kernels"):
        ProfileRequest.model_validate({"kernels": "theirs"})
    done = CliRunner().invoke(app, ["profile", "artifact", "--kernels", "theirs"])
    assert done.exit_code == 2
    said = " ".join(done.output.replace("│", " ").split())
    assert "'theirs' is not one of 'own', 'engine', 'own:avx512vnni'" in said


def test_the_sets_are_those_of_the_runner() -> None:
    sources = runner_source() / "kernels"
    names = {name for path in sources.glob("*.cpp") for name in SET_NAME.findall(path.read_text())}
    assert {f"own:{name}" for name in names} | {"own", "engine"} == set(KERNELS)


def test_a_set_that_the_cpu_cannot_run_is_an_error_that_names_those_it_can() -> None:
    said = "slm-runner-ort: error: this CPU cannot run the kernels own:avx2; it can run own:portable"
    error = ending_of_exit_code(11, said, serial="x").error
    assert isinstance(error, RunnerFailed)
    assert said in str(error)
    assert error.next_step is not None and "--kernels" in error.next_step


@pytest.mark.parametrize(("code", "flag"), [(9, "--affinity"), (10, "--threads")])
def test_what_a_device_lacks_is_not_taken_for_a_runner_that_does_not_fit(code: int, flag: str) -> None:
    error = ending_of_exit_code(code, "slm-runner-et: error: said", serial="x").error
    assert error is not None and error.next_step is not None
    assert flag in error.next_step
    assert "build" not in error.next_step
