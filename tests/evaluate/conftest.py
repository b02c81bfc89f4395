from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import loaded_executorch  # noqa: F401
import pytest
from model_folders import edit_config, write_folder
from own_tasks import write_tasks
from questions import share_cache

from toolkit.artifact import Artifact
from toolkit.export.convert import convert
from toolkit.export.request import ConvertRequest
from toolkit.settings import Settings
from toolkit.sources import resolve


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Results and kept answers of its own, but the user's cache otherwise: runners are built once."""
    home = tmp_path_factory.mktemp("evaluate")
    user = Settings.from_environment()
    cache = home / "cache"
    share_cache(user.cache_dir, cache)
    data = home / "data"
    return dataclasses.replace(
        user, cache_dir=cache, data_dir=data, store_url=f"sqlite:///{data / 'results.db'}"
    )


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Path:
    """A model's folder, as transformers saves it."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    write_folder(folder, settings, "llama-tiny")
    return folder


@pytest.fixture(scope="session")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tests' own tasks."""
    return write_tasks(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="session")
def onnx(original: Path, tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Artifact:
    return _converted(original, tmp_path_factory, settings, backend="onnxruntime", quant="fp32")


@pytest.fixture(scope="session")
def executorch(original: Path, tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Artifact:
    return _converted(original, tmp_path_factory, settings, backend="executorch", quant="fp32")


@pytest.fixture(scope="session")
def quantized(original: Path, tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Artifact:
    return _converted(original, tmp_path_factory, settings, backend="onnxruntime", quant="8da4w")


@pytest.fixture(scope="session")
def roomy(original: Path, tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Artifact:
    """A quantized artifact with room for examples beside the longest of the tests' own texts."""
    folder = tmp_path_factory.mktemp("roomy") / "tiny"
    shutil.copytree(original, folder)
    edit_config(folder, max_position_embeddings=1024)
    return _converted(folder, tmp_path_factory, settings, backend="onnxruntime", quant="8da4w")


def _converted(
    original: Path, folders: pytest.TempPathFactory, settings: Settings, **options: str
) -> Artifact:
    request = ConvertRequest(model=str(original), parity_check=False, **options)  # type: ignore[arg-type]
    source = resolve(str(original), settings)
    return convert(source, request, folders.mktemp("artifact") / "a", settings)
