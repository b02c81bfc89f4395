"""Artifacts that move through a URL: whole, checked, between hosts that see nothing else of each other."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from ray_nodes import add_node, cluster
from recipe_process import SlmRecipe
from tiny_artifact import make_artifact
from tiny_decoder import TinyDecoder

from toolkit.artifact import MANIFEST, Artifact
from toolkit.errors import ArtifactCorrupt, BatchError, NotAnArtifact, UsageError
from toolkit.recipes.share import Share, obtained
from toolkit.recipes.workspace import Workspace

SMALL = """schema: slm-recipe/1
name: shared
convert: {model: "random:llama-tiny", quant: [8da4w, 8w]}
profile: {preset: smoke, device: local}
report: report.md
"""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_artifact(tmp_path_factory.mktemp("artifact") / "tiny", TinyDecoder())


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Share]:
    url = f"memory://{tmp_path.name}"
    yield Share(url)
    files = fsspec.filesystem("memory")
    if files.exists(tmp_path.name):
        files.rm(tmp_path.name, recursive=True)


def test_an_artifact_comes_back_as_it_was(artifact: Artifact, share: Share, tmp_path: Path) -> None:
    assert share.keys() == set() and share.get("k", tmp_path / "k") is None
    share.put("k", artifact)
    assert share.keys() == {"k"} and share.has("k", artifact)
    found = share.get("k", tmp_path / "k")
    assert found is not None and found.manifest == artifact.manifest
    Artifact.load(tmp_path / "k").verify()


def test_an_upload_that_was_cut_is_no_artifact(artifact: Artifact, share: Share, tmp_path: Path) -> None:
    share.put("k", artifact)
    files = fsspec.filesystem("memory")
    files.mv(f"{tmp_path.name}/k/{MANIFEST}", f"{tmp_path.name}/k/.{MANIFEST}.partial-1")
    assert share.keys() == set() and not share.has("k", artifact)
    with pytest.raises(NotAnArtifact, match="neither in this host's workspace nor at the share"):
        obtained("k", Workspace(tmp_path, share.url))


@pytest.mark.parametrize("damage", ["other bytes", "missing"])
def test_a_damaged_file_is_noticed_and_nothing_is_left(
    artifact: Artifact, share: Share, tmp_path: Path, damage: str
) -> None:
    share.put("k", artifact)
    files, path = fsspec.filesystem("memory"), f"{tmp_path.name}/k/tokenizer.json"
    if damage == "missing":
        files.rm(path)
    else:
        files.pipe_file(path, files.cat_file(path)[:-1] + b"?")
    with pytest.raises(ArtifactCorrupt, match="tokenizer.json"):
        share.get("k", tmp_path / "place" / "k")
    assert list((tmp_path / "place").iterdir()) == []


def test_a_file_outside_of_the_artifact_is_refused(artifact: Artifact, share: Share, tmp_path: Path) -> None:
    share.put("k", artifact)
    files, path = fsspec.filesystem("memory"), f"{tmp_path.name}/k/{MANIFEST}"
    manifest = json.loads(files.cat_file(path))
    manifest["files"][0]["path"] = "../../escaped"
    files.pipe_file(path, json.dumps(manifest).encode())
    with pytest.raises(ArtifactCorrupt, match="a file outside of it"):
        share.get("k", tmp_path / "place" / "k")
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("url", ["nonsense://somewhere", "s4://bucket"])
def test_a_url_that_nobody_knows_is_a_wrong_flag(url: str) -> None:
    with pytest.raises(UsageError, match="Protocol not known"):
        Share(url).keys()


def test_a_share_out_of_reach_is_told_without_its_password() -> None:
    with pytest.raises(BatchError) as caught:
        Share("ftp://somebody:secret@127.0.0.1:9/artifacts").keys()
    assert "ftp://***@127.0.0.1:9" in str(caught.value) and "secret" not in str(caught.value)


def test_a_second_host_takes_what_the_first_has_made(slm_recipe: SlmRecipe) -> None:
    url = f"file://{slm_recipe.folder}/share"
    hosts = []
    for name in ("first", "second"):
        host = SlmRecipe(slm_recipe.folder / name)
        host.folder.mkdir()
        hosts.append(host)
        recipe = host.write(SMALL)
        only = ["--only", "convert"] if name == "first" else []
        done = host.json("run", recipe, "--share", url, *only)
        assert (done["done"], done["already"]) == ((2, 0) if name == "first" else (3, 2))
    assert _manifests(hosts[0].workspace) == _manifests(hosts[1].workspace), "downloaded, not made again"
    assert hosts[1].leftovers() == [] and list(Path(slm_recipe.folder, "share").rglob("*partial*")) == []


@pytest.mark.serial
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs ray: pip install -e '.[ray]'")
def test_nodes_with_nothing_in_common_but_the_share(slm_recipe: SlmRecipe) -> None:
    recipe = slm_recipe.write(SMALL)
    homes = [slm_recipe.folder / name for name in ("first", "second")]
    with cluster(head_cpus=1, data_dir=homes[0]) as made:
        # Only the second has the device, both convert.
        add_node(made, cpus=1, data_dir=homes[1], resources={"slm-device:local": 1.0})
        slm_recipe.environ["RAY_ADDRESS"] = made.address
        share = ("--executor", "ray", "--share", f"file://{slm_recipe.folder}/share")
        first = slm_recipe.json("run", recipe, "--only", "convert", *share)
        assert first["done"] == 2
        started = time.time_ns()
        rest = slm_recipe.json("run", recipe, *share)
        assert (rest["done"], rest["already"]) == (3, 2)
    made_by = [_manifests(home / "recipes") for home in homes]
    assert set(made_by[1]) == set(_manifests(slm_recipe.folder, "share")), "it has fetched what it lacked"
    assert made_by[0].items() <= made_by[1].items()
    assert slm_recipe.artifacts() == {}, "whoever runs the recipe needs none of them"
    assert [run[2] for run in slm_recipe.stored()] == ["ok", "ok"]
    report = slm_recipe.workspace / "batches" / "shared" / "report.md"
    assert report.stat().st_mtime_ns > started
    logs = [path.read_text() for path in (slm_recipe.workspace / "logs").glob("*.log")]
    assert sum("quantize and write" in text for text in logs) == 2, "logs come home"


def _manifests(root: Path, folder: str = "artifacts") -> dict[str, str]:
    return {path.parent.name: path.read_text() for path in (root / folder).glob(f"*/{MANIFEST}")}
