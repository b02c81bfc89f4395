from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from toolkit.cli.main import app
from toolkit.runtime.bundle import Bundle


def test_build_prints_the_folder(bundle: Bundle) -> None:
    done = CliRunner().invoke(app, ["runtime", "build"])
    assert done.exit_code == 0
    assert done.stdout.strip() == str(bundle.path)


def test_build_as_json(bundle: Bundle) -> None:
    done = CliRunner().invoke(app, ["runtime", "build", "--abi", bundle.abi, "--json"])
    described = json.loads(done.stdout)
    assert described["path"] == str(bundle.path)
    assert described["command"] == bundle.command(str(bundle.path))
    assert described["sha256"] == bundle.sha256
    assert [each["path"] for each in described["licenses"]] == [each.path for each in bundle.licenses]


def test_an_unknown_abi_is_a_usage_error_that_names_the_known_ones() -> None:
    done = CliRunner().invoke(app, ["runtime", "build", "--abi", "armeabi"])
    assert "Available: host, x86_64, arm64-v8a" in str(done.exception)


def test_list_shows_the_bundle(bundle: Bundle) -> None:
    assert str(bundle.path) in CliRunner().invoke(app, ["runtime", "list"]).stdout
    listed = json.loads(CliRunner().invoke(app, ["runtime", "list", "--json"]).stdout)
    assert str(bundle.path) in [each["path"] for each in listed]


def test_an_empty_cache_lists_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLM_CACHE_DIR", str(tmp_path))
    assert CliRunner().invoke(app, ["runtime", "list"]).stdout == "No bundle yet: slm runtime build\n"
    assert json.loads(CliRunner().invoke(app, ["runtime", "list", "--json"]).stdout) == []


def test_engines_are_listed_with_their_versions() -> None:
    shown = CliRunner().invoke(app, ["runtime", "engines"]).stdout.splitlines()
    assert [line.split()[:2] for line in shown] == [
        [name, importlib.metadata.version(name)] for name in ("onnxruntime", "executorch")
    ]
    described = json.loads(CliRunner().invoke(app, ["runtime", "engines", "--json"]).stdout)
    assert described[1]["linears"]["8da4w"] == [32, 64, 128, 256, 0]
    assert described[0]["processors"] == [{"name": "cpu", "provider": "CPUExecutionProvider"}]
