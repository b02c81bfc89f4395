"""What a conversion in a process of its own says is what it says in this one."""

from __future__ import annotations

from pathlib import Path

import pytest

import toolkit
from toolkit.api.conversion_apart import ConversionFault
from toolkit.errors import SourceNotFound, ToolkitError
from toolkit.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "cache", tmp_path / "data", "sqlite://")


@pytest.mark.parametrize("apart", [False, True])
def test_a_hub_that_does_not_answer_is_no_model_that_does_not_convert(
    apart: bool, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(SourceNotFound, match="cannot be reached") as caught:
        toolkit.convert("someone/novel", tmp_path / "out", settings=settings, trust_remote_code=apart)
    assert caught.value.exit_code == SourceNotFound.exit_code and caught.value.subject == "someone/novel"


@pytest.mark.parametrize("apart", [False, True])
def test_what_the_system_refuses_keeps_its_path(apart: bool, tmp_path: Path, settings: Settings) -> None:
    settings.cache_dir.write_text("no folder")
    with pytest.raises(OSError, match="Not a directory|File exists") as caught:
        toolkit.convert("random:llama-tiny", tmp_path / "out", settings=settings, trust_remote_code=apart)
    assert str(caught.value.filename).startswith(str(settings.cache_dir))


def test_a_package_that_is_not_installed_is_named(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with the light install; the command then says which extra brings it."""
    (tmp_path / "transformers.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'transformers'\", name='transformers')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ModuleNotFoundError) as caught:
        toolkit.convert("random:llama-tiny", tmp_path / "out", settings=settings, trust_remote_code=True)
    assert caught.value.name == "transformers"


def test_a_fault_of_the_toolkit_is_none_of_the_model(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process it would be a bare exception with a traceback; so it is in another."""
    (tmp_path / "sitecustomize.py").write_text(
        "import toolkit.api.conversion_here as here\n"
        "def convert_here(*_, **__):\n    {}['no such key']\n"
        "here.convert_here = convert_here\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(
        ConversionFault, match=r"KeyError: 'no such key' \(.*sitecustomize.py, line 3\)"
    ) as caught:
        toolkit.convert("random:llama-tiny", tmp_path / "out", settings=settings, trust_remote_code=True)
    assert not isinstance(caught.value, ToolkitError)
    assert "Traceback (most recent call last)" in caught.value.__notes__[0]
    assert not (tmp_path / "out").exists()
