"""Keep libraries from reporting home, and from warning about what nobody here can act on."""

from __future__ import annotations

import logging
import os
import sys
from unittest import mock


def hush_libraries() -> None:
    """Call before torch, transformers or onnxruntime is imported."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    for name in ("torch", "torchao"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from transformers.utils import is_torchao_available

    # transformers would import torchao, which ExecuTorch brings along: seconds, for nothing. It asks once and
    # remembers the answer.
    with mock.patch.dict(sys.modules, {"torchao": None}):
        is_torchao_available()
