"""The runner's bundle on this machine, and a decoder whose tokens are known."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_decoder import TinyDecoder

from toolkit.runtime.abi import runnable_host_abi
from toolkit.runtime.bundle import Bundle, build_bundle
from toolkit.settings import Settings

# Runs the bundle on this machine.
Runner = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """Built once and kept in the user's cache, where `make demo` finds it as well."""
    return build_bundle(runnable_host_abi(), Settings.from_environment())


@pytest.fixture(scope="session")
def runner(bundle: Bundle) -> Runner:
    """Runs the bundle on this machine, in an environment of nothing but PATH."""

    def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        command = [*bundle.command(str(bundle.path)), *map(str, arguments)]
        settings: dict[str, object] = {"capture_output": True, "text": True, "timeout": 120}
        return subprocess.run(command, env={"PATH": os.environ["PATH"]}, **(settings | options))  # type: ignore[call-overload]

    return run


@pytest.fixture(scope="session")
def decoder() -> TinyDecoder:
    return TinyDecoder()


@pytest.fixture(scope="session")
def model(decoder: TinyDecoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return decoder.save(tmp_path_factory.mktemp("model"))
