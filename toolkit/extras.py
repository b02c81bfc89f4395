"""How to install what an optional part needs, in a way that works here."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from toolkit.errors import UsageError

_NAME = "slm-toolkit"
# Extras of what is imported, by the imported name; engines say theirs themselves.
_EXTRAS = {
    **dict.fromkeys(("torch", "transformers", "optimum", "numpy", "onnx", "safetensors", "gguf"), "convert"),
    **dict.fromkeys(("tokenizers", "jinja2", "huggingface_hub"), "convert"),
    **dict.fromkeys(("altair", "vl_convert"), "report"),
    **dict.fromkeys(("ray", "fsspec"), "ray"),
    **dict.fromkeys(("starlette", "uvicorn"), "serve"),
    **dict.fromkeys(("lm_eval", "datasets"), "evaluate"),
    "psycopg": "postgres",
    "pyarrow": "parquet",
}


def extra_of(module: str) -> str | None:
    """The extra that brings a module; None where no extra is known to."""
    return _EXTRAS.get(module.partition(".")[0])


def missing_extras(*extras: str) -> UsageError | None:
    """That a module of one of these extras is not here, as an error that says what to install."""
    for module, extra in _EXTRAS.items():
        if extra in extras and find_spec(module) is None:
            return UsageError(
                f"this needs the package {module}, which is not installed here",
                next_step=f"Install it: {install_command(*extras)}",
            )
    return None


def install_command(*extras: str, also: str = "") -> str:
    """The pip command that brings extras of the toolkit, for the way in which it was itself installed.

    Args:
        extras: names of extras in pyproject.toml.
        also: another package.
    """
    what = f"[{','.join(extras)}]" if extras else ""
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "pyproject.toml").is_file():
        here = "." if checkout == Path.cwd() else str(checkout)
        command = f"pip install -e '{here}{what}'"
    elif url := _installed_from():
        command = f"pip install '{_NAME}{what} @ {url}'"
    else:
        command = f"pip install '{_NAME}{what}'"
    return f"{command} {also}".rstrip()


def _installed_from() -> str | None:
    """The wheel or folder that pip took the toolkit from; None when it came from an index."""
    try:
        record = distribution(_NAME).read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    return str(json.loads(record)["url"]) if record else None
