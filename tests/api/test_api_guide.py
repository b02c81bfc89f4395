"""The guide to the Python API does what it says: its examples are run one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from documents import DOCS
from tiny_artifact import CONTEXT_LENGTH, make_artifact
from tiny_decoder import TinyDecoder

GUIDE = DOCS / "python.md"


def examples() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("SLM_STORE_URL", raising=False)
    # A model that knows its words; the guide says nothing of how it was made.
    make_artifact(tmp_path / "artifacts" / "chat", TinyDecoder(context_length=CONTEXT_LENGTH))
    names: dict[str, Any] = {}
    printed = []
    for example in examples():
        exec(compile(example, str(GUIDE), "exec"), names)
        printed.append(capsys.readouterr().out)
    assert printed[0].startswith("ok ")
    assert float(printed[1]) > 1, "floats are larger"
    assert "5w" in printed[2] and "8w" in printed[2], "the mistake, and what there is instead"
    assert printed[3].strip()
    assert len(printed[4].splitlines()) == 3


def test_every_public_name_is_in_the_guide() -> None:
    import toolkit

    text = GUIDE.read_text(encoding="utf-8")
    assert [name for name in toolkit.__all__ if f"`{name}`" not in text and f"`{name}(" not in text] == []
