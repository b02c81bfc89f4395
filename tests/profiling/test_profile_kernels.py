"""`slm profile --kernels` reaches the runner."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from toolkit.cli.main import app
from toolkit.profiling.flags import profile_flags
from toolkit.profiling.request import ProfileRequest


@pytest.mark.parametrize("kernels", ["own", "engine"])
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
    assert "'theirs' is not one of 'own', 'engine'" in " ".join(done.output.replace("│", " ").split())
