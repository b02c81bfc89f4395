"""An engine that another package brings goes the way of ours, through the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.artifact import Artifact
from toolkit.errors import UnknownScheme

MADE_UP = Path(__file__).parent / "made_up"
LOCAL = ("--device", "local", "--prompt-tokens", "8", "--generate-tokens", "4")


def slm(*arguments: str | Path, cwd: Path, made_up: bool = True) -> subprocess.CompletedProcess[str]:
    paths = [*([str(MADE_UP)] if made_up else []), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return subprocess.run(
        [sys.executable, "-m", "toolkit.cli.main", *map(str, arguments)],
        cwd=cwd,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "SLM_CACHE_DIR": str(cwd / "cache"),
            "SLM_DATA_DIR": str(cwd / "data"),
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made-up")


@pytest.fixture(scope="module")
def artifact(place: Path) -> Artifact:
    done = slm(
        *("convert", "random:llama-tiny", "--backend", "made-up", "--quant", "8w", "-o", "tiny"), cwd=place
    )
    assert done.returncode == 0, done.stderr
    return Artifact.load(place / "tiny")


def test_it_converts_within_its_capabilities_and_is_judged(artifact: Artifact) -> None:
    manifest = artifact.manifest
    assert manifest.name == "random-llama-tiny-madeup-8w-g64-hqq"
    assert (manifest.backend.name, manifest.backend.version) == ("made-up", "3.2")
    assert manifest.model_file == "model.mu"
    assert manifest.tools["made_up_engine"] == "3.2"
    assert manifest.quantization.linear.group_size == 64
    assert manifest.parity is not None and manifest.parity.passed


def test_what_it_cannot_do_is_refused_with_what_it_can(place: Path) -> None:
    done = slm(
        *("convert", "random:llama-tiny", "--backend", "made-up", "--quant", "8da4w", "-o", "no"), cwd=place
    )
    assert done.returncode == UnknownScheme.exit_code
    assert "Made Up backend has no 8da4w linears" in done.stderr
    assert "Linears can be fp32, 8w (group size 64)" in done.stderr
    assert not (place / "no").exists()


def test_it_is_planned_beside_ours(place: Path) -> None:
    recipe = place / "recipe.yaml"
    recipe.write_text(
        "schema: slm-recipe/1\nname: made-up\n"
        "convert: {model: 'random:llama-tiny', quant: 8w, backend: [made-up, onnxruntime]}\n"
    )
    done = slm("recipe", "plan", recipe, "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    titles = [step["title"] for step in json.loads(done.stdout)["steps"]]
    assert [word in title for title, word in zip(titles, ("made-up", "onnxruntime"), strict=True)] == [
        True
    ] * 2
    schema = json.loads(slm("recipe", "schema", cwd=place).stdout)
    [listed, _] = schema["$defs"]["Convert"]["properties"]["backend"]["anyOf"]
    assert "made-up" in listed["enum"]
    without = slm("recipe", "validate", recipe, cwd=place, made_up=False)
    assert without.returncode != 0
    assert "made-up" in without.stdout + without.stderr


def test_engines_are_listed_broken_ones_too(place: Path) -> None:
    listed = json.loads(slm("runtime", "engines", "--json", cwd=place).stdout)
    assert [(one["name"], one["usable"]) for one in listed] == [
        ("onnxruntime", True),
        ("executorch", True),
        ("made-up", True),
        ("half-made", False),
        ("no-engine", False),
    ]
    assert listed[2]["version"] == "3.2"
    assert listed[2]["runner"] is None


@pytest.mark.parametrize(("name", "wrong"), [("half-made", "cannot be imported"), ("no-engine", "is a int")])
def test_a_broken_one_stands_in_nobodys_way(place: Path, name: str, wrong: str) -> None:
    done = slm("convert", "random:llama-tiny", "--backend", name, "-o", "no", cwd=place)
    assert done.returncode == 2
    assert wrong in done.stderr
    assert "package made-up-engine" in done.stderr
    found = json.loads(slm("doctor", "--json", cwd=place).stdout)
    [line] = [one for one in found if one["check"] == f"engine {name}"]
    assert line["level"] == "warn"
    assert wrong in line["found"]


def test_what_has_no_runner_is_not_run(artifact: Artifact, place: Path) -> None:
    done = slm("profile", artifact.path, *LOCAL, cwd=place)
    assert done.returncode != 0
    assert "no runner for Made Up" in done.stderr
    assert "made-up run" in done.stderr


def test_an_artifact_outlives_its_engine(artifact: Artifact, place: Path) -> None:
    done = slm("profile", artifact.path, *LOCAL, cwd=place, made_up=False)
    assert done.returncode == 2
    assert "Unknown engine 'made-up'" in done.stderr
    assert "Available: onnxruntime, executorch" in done.stderr
