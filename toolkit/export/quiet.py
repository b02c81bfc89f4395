"""Keep libraries from reporting home, and from warning about what nobody here can act on."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from toolkit.engines import set_environment


def hush_libraries() -> None:
    """Call before torch, transformers or an engine is imported."""
    set_environment()
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # The toolkit shows its own progress; read when tqdm is imported.
    os.environ.setdefault("TQDM_DISABLE", "1")
    for name in ("torch", "torchao"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from transformers.utils import is_torchao_available

    # transformers would import torchao, which engines' packages bring along: seconds, for nothing. It asks
    # once and remembers the answer.
    with _not_importable("torchao"):
        is_torchao_available()


@contextmanager
def _not_importable(name: str) -> Iterator[None]:
    """Let imports of a module that is not loaded yet fail while the block runs."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # what the import system takes for "not there"
    try:
        yield
    finally:
        del sys.modules[name]
