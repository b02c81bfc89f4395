"""The command that installs an extra works where it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit import extras


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
