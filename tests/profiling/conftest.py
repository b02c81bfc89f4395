from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The tiny decoder belongs to the runner's tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "runtime"))

from tiny_artifact import CONTEXT_LENGTH, make_artifact  # noqa: E402
from tiny_decoder import TinyDecoder  # noqa: E402

from toolkit.artifact import Artifact  # noqa: E402
from toolkit.devices.local import LocalDevice  # noqa: E402
from toolkit.profiling.options import ProfileOptions  # noqa: E402
from toolkit.profiling.session import Session  # noqa: E402
from toolkit.settings import Settings  # noqa: E402
from toolkit.store import open_store  # noqa: E402

SMALL = ProfileOptions(prompt_tokens=16, generate_tokens=4, repetitions=2, warmup=1, threads=1)


@pytest.fixture(scope="session")
def decoder() -> TinyDecoder:
    return TinyDecoder(context_length=CONTEXT_LENGTH)


@pytest.fixture(scope="session")
def artifact(decoder: TinyDecoder, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_artifact(tmp_path_factory.mktemp("artifacts") / "tiny", decoder)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Results of its own, but the user's cache: the runner is built once."""
    data = tmp_path / "data"
    return dataclasses.replace(
        Settings.from_environment(), data_dir=data, store_url=f"sqlite:///{data / 'results.db'}"
    )


@pytest.fixture
def session(settings: Settings) -> Iterator[Session]:
    with open_store(settings.store_url) as store:
        yield Session(settings, store)


@pytest.fixture
def local(settings: Settings) -> LocalDevice:
    return LocalDevice(settings)
