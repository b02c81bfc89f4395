"""The wheel: it builds, and works in an environment that holds nothing else."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=300)
    [built] = folder.glob("*.whl")
    return built


@pytest.mark.soak
def test_the_wheel_holds_all_that_is_not_python(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for part in (
        "toolkit/runtime/device_runner/cli/serve_mode.cpp",
        "toolkit/app/android_app/build.gradle.kts",
        "toolkit/recipes/shipped/smoke/tiny.yaml",
        "toolkit/report/assets/report.css",
        "toolkit/models/catalogue/data/tiny.json",
    ):
        assert part in names
    assert not [name for name in names if name.startswith("tests/") or "/build/" in name]
    [metadata] = [name for name in names if name.endswith(".dist-info/METADATA")]
    check_description(zipfile.ZipFile(wheel).read(metadata).decode())


def test_its_description_is_the_readme_without_links_that_lead_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Hook:
        root = str(ROOT)

    # pip brings the builder into an environment of its own; of it this needs the name alone.
    for name in ("hatchling", "hatchling.metadata", "hatchling.metadata.plugin"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    interface = ModuleType("hatchling.metadata.plugin.interface")
    monkeypatch.setattr(interface, "MetadataHookInterface", Hook, raising=False)
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    metadata: dict[str, dict[str, str]] = {}
    runpy.run_path(str(ROOT / "hatch_build.py"))["Readme"]().update(metadata)
    assert metadata["readme"]["content-type"] == "text/markdown"
    check_description(metadata["readme"]["text"])


def check_description(text: str) -> None:
    assert "## Two commands" in text and "docs/studies.md" in text, "what a link said is still there"
    links = re.findall(r"\]\(([^)]*)\)", text)
    assert [link for link in links if not link.startswith("https://")] == []


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_light_install_measures_nothing_and_says_what_is_missing(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    subprocess.run([programs / "pip", "install", "--quiet", wheel], check=True, timeout=600)
    environ = {"HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}", "COLUMNS": "80"}

    def slm(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["slm", *arguments], env=environ, capture_output=True, text=True, timeout=120, cwd=home
        )

    assert slm("--version").stdout.strip()
    assert "From a model to numbers" in slm("--help").stdout
    assert slm("results", "list").returncode == 0
    assert any(one["serial"] == "local" for one in json.loads(slm("devices", "list", "--json").stdout))
    assert slm("recipe", "list").returncode == 0
    # What needs an extra names the command that brings it, and is no traceback.
    for arguments in (("convert", "random:llama-tiny"), ("report", "-o", "report.html")):
        told = slm(*arguments)
        assert told.returncode != 0
        assert "pip install" in told.stderr and "Traceback" not in told.stderr
