"""The command that installs an extra works where it is shown."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from toolkit import extras
from toolkit.engines import ENGINES
from toolkit.extras import extra_of


def test_a_checkout_is_installed_from_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(extras.__file__).parents[1]
    monkeypatch.chdir(tmp_path)
    assert extras.install_command("convert", "ray") == f"pip install -e '{root}[convert,ray]'"
    monkeypatch.chdir(root)
    assert extras.install_command("ray", also="onnx") == "pip install -e '.[ray]' onnx"


def test_a_wheel_is_installed_from_where_it_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "__file__", str(tmp_path / "site-packages/toolkit/extras.py"))
    record = tmp_path / "site-packages/slm_toolkit-0.1.0.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: slm-toolkit\nVersion: 0.1.0\n")
    (record / "direct_url.json").write_text('{"url": "file:///d/slm_toolkit-0.1.0-py3-none-any.whl"}')
    monkeypatch.syspath_prepend(str(record.parent))
    wanted = "pip install 'slm-toolkit[ray] @ file:///d/slm_toolkit-0.1.0-py3-none-any.whl'"
    assert extras.install_command("ray") == wanted


def test_every_package_of_an_extra_is_known_by_what_it_is_imported_as() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    named = {"psycopg": "psycopg", "vl-convert-python": "vl_convert", "lm-eval": "lm_eval"}
    # Found by another way: programs, engines and what other packages check.
    others = {"cmake", "ninja"} | {ENGINES.get(name).package for name in ENGINES}
    for extra, packages in project["optional-dependencies"].items():
        for package in packages if extra != "dev" else []:
            name = re.split(r"[\[=<>]", package)[0]
            if name not in others:
                assert extra_of(named.get(name, name.replace("-", "_"))) is not None, (extra, name)


def test_a_command_without_its_extra_names_the_pip_command(tmp_path: Path) -> None:
    program = "import sys; sys.modules['torch'] = None; from toolkit.cli.main import main; main()"
    command = [sys.executable, "-c", program, "convert", "random:llama-tiny", "-o", str(tmp_path / "x")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "needs the package torch" in done.stderr and "pip install" in done.stderr
