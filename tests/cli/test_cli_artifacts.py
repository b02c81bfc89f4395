"""`slm artifacts`, and where `slm convert` writes by default."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from toolkit.artifact import MANIFEST
from toolkit.cli.artifacts import default_folder
from toolkit.cli.main import app
from toolkit.errors import NotAnArtifact, UsageError
from toolkit.export.request import ConvertRequest

# Two artifacts that an earlier version made.
BEFORE = Path(__file__).parents[1] / "profiling" / "before"


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["artifacts", *map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    manifest = next(BEFORE.rglob(MANIFEST))
    known = json.loads(manifest.read_text())
    good = tmp_path / "good"
    for entry in known["files"]:
        file = good / entry["path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes((manifest.parent / entry["path"]).read_bytes())
    (good / MANIFEST).write_text(manifest.read_text())
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / MANIFEST).write_text("{")
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_a_listing_tells_good_artifacts_from_those_that_cannot_be_read(folder: Path) -> None:
    rows = {Path(row["path"]).name: row for row in json.loads(run("list", folder, "--json"))}
    assert set(rows) == {"good", "cut"}
    assert rows["good"]["problem"] is None and rows["good"]["size_bytes"] > 0
    assert "cannot be read" in rows["cut"]["problem"] and rows["cut"]["size_bytes"] is None
    assert "unreadable" in run("list", folder) and "cannot be read" in run("list", folder)


def test_an_empty_folder_and_none_are_different_answers(tmp_path: Path) -> None:
    assert "no artifacts in" in run("list", tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        run("list", tmp_path / "nowhere")


def test_one_artifact_is_shown_with_its_source(folder: Path) -> None:
    shown = run("show", folder / "good")
    assert "source" in shown and "random" in shown and "agreement" in shown


def test_removing_touches_nothing_when_one_of_the_folders_is_not_an_artifact(folder: Path) -> None:
    with pytest.raises(NotAnArtifact):
        run("remove", folder / "good", folder / "notes")
    assert (folder / "good" / MANIFEST).exists()
    run("remove", folder / "good", folder / "cut")
    assert [one.name for one in folder.iterdir()] == ["notes"]


def test_removing_follows_no_link_and_takes_a_folder_named_twice_once(folder: Path) -> None:
    link = folder / "link"
    link.symlink_to(folder / "good")
    with pytest.raises(UsageError, match=str(folder / "good")):
        run("remove", link)
    assert (folder / "good" / MANIFEST).exists()
    assert run("remove", folder / "good", folder / "cut" / ".." / "good").count("removed") == 1
    assert not (folder / "good").exists()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"model": "Qwen/Qwen3-0.6B"}, "Qwen3-0.6B-{engine}-mobile-4bit"),
        ({"model": "random:llama-tiny", "quant": "8da4w"}, "llama-tiny-{engine}-8da4w"),
        ({"model": "models/My Model.GGUF", "quant": "4w", "group_size": 64}, "My-Model-{engine}-4w-g64"),
    ],
)
def test_the_default_folder_names_the_model_and_what_is_not_default(
    options: dict[str, object], name: str
) -> None:
    request = ConvertRequest.of(**options)
    assert default_folder(request) == Path("artifacts") / name.format(engine=request.backend)
