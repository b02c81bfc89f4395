"""Where refusals are walked: a folder with what commands name, and nothing of this machine's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny_artifact import CONTEXT_LENGTH, make_artifact
from tiny_decoder import TinyDecoder


@contextmanager
def walking_in(folder: Path) -> Iterator[pytest.MonkeyPatch]:
    """Be in a folder that holds an artifact, with data and a store of its own; gives what changes more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SLM_DATA_DIR", str(folder / "data"))
        patch.setenv("SLM_STORE_URL", f"sqlite:///{folder / 'results.db'}")
        make_artifact(folder / "artifact", TinyDecoder(context_length=CONTEXT_LENGTH))
        yield patch
