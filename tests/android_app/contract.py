"""What the tests share: the app's core as a program, and files of arguments as a host writes them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

Core = Callable[..., "subprocess.CompletedProcess[bytes]"]


def arguments_bytes(*texts: str | Path | bytes, engine: str = "onnxruntime") -> bytes:
    words = ["slm-app/3", engine, *texts]
    return b"".join((word if isinstance(word, bytes) else os.fsencode(word)) + b"\0" for word in words)


def write_arguments(path: Path, *texts: str | Path | bytes, engine: str = "onnxruntime") -> Path:
    path.write_bytes(arguments_bytes(*texts, engine=engine))
    return path
