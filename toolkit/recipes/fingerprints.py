"""What decides about a step's output: the toolkit's own code, versions of packages, content of sources."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import toolkit
from toolkit.engines import ENGINES
from toolkit.files import expanded
from toolkit.models.catalogue.catalogue import catalogue_for
from toolkit.recipes.schema import Model
from toolkit.recipes.workspace import KEY_LENGTH, Workspace
from toolkit.settings import Settings

_PACKAGE = Path(toolkit.__file__).parent
# What a conversion runs through. A docstring that changes makes conversions again; a wrong artifact is worse.
CONVERTING = (
    *("artifact.py", "request.py"),
    *("calibration", "capture", "chat_format.py", "chat_template", "compress", "engines", "estimate"),
    *("evaluate", "export", "inference", "models", "sources"),
)
_CONVERT_PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "gguf", "numpy")
# A folder's own files; a checkpoint brings no others that matter.
_HIDDEN = "."
_CODE_SUFFIXES = (".py", ".json", ".txt", ".html", ".js", ".css")


def digest(value: Any) -> str:
    """A key from JSON data, the same on every machine."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


@cache
def converting_code() -> str:
    """Hash over the source files that a conversion runs through."""
    return _hash_of(CONVERTING)


@cache
def report_code() -> str:
    """Hash over the source files that write reports."""
    return _hash_of(["report"])


@cache
def runner_code() -> str:
    """Hash over the runner's sources."""
    from toolkit.runtime.runner_source import runner_source, source_sha256

    return source_sha256(runner_source())


def convert_tools(backend: str) -> dict[str, str]:
    """Versions that have a say in an artifact's bytes."""
    packages = (*_CONVERT_PACKAGES, *ENGINES.get(backend).packages)
    return {"slm-toolkit": toolkit.__version__, "code": converting_code()} | {
        package: installed(package) for package in packages
    }


@cache
def installed(package: str) -> str:
    """A package's version, or "absent"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def reference(model: Model, folder: Path) -> str:
    """The model as `resolve` takes it, paths made absolute from the recipe's folder."""
    if model.id.startswith("random:"):
        name = model.id.removeprefix("random:")
        return f"random:{folder / name}" if (folder / name).is_file() else model.id
    from toolkit.sources.gguf.recognition import is_gguf

    path = folder / expanded(model.id)
    return str(path) if is_gguf(path) or path.is_dir() else model.id


def is_fetched(model: Model, folder: Path) -> bool:
    """Whether a model comes from a hub, so that its content is known only once it was fetched.

    As for ``from_pretrained``, a file or folder of that name comes first; a recipe's lie beside it.
    """
    from toolkit.sources.gguf.recognition import is_gguf

    where = reference(model, folder)
    return not (where.startswith("random:") or is_gguf(Path(where)) or Path(where).is_dir())


def lock_name(model: Model) -> str:
    """The name of a fetched model's lock."""
    return digest(["source", model.id, model.revision])


def source_identity(model: Model, folder: Path, settings: Settings, workspace: Workspace) -> Any:
    """JSON data that changes with the content of the model; None when it must be fetched first.

    Files are hashed once and remembered by inode, size and times of change.
    """
    where = reference(model, folder)
    if is_fetched(model, folder):
        lock = workspace.source(lock_name(model))
        return None if lock is None else {"id": model.id, "info": lock.info.model_dump(mode="json")}
    if where.startswith("random:"):
        return {"id": model.id, "config": random_config_sha256(where, settings)}
    from toolkit.sources.checksums import weight_file_entries

    path = Path(where)
    files = [path] if path.is_file() else [file for file in sorted(path.rglob("*")) if _counts(file, path)]
    entries = weight_file_entries(files, path.parent if path.is_file() else path, settings.cache_dir)
    return {"id": model.id, "files": [[entry.path, entry.sha256] for entry in entries]}


def random_config_sha256(reference: str, settings: Settings) -> str:
    """Hash of the config that a model with random weights is built from.

    Raises:
        OSError: it is neither a model of the catalogue nor a file that can be read.
        CatalogueInvalid: a file of the user's own that is no entry.
    """
    return hashlib.sha256(_random_config(reference, settings).encode()).hexdigest()


def config_fields(model: Model, folder: Path, workspace: Workspace, settings: Settings) -> dict[str, Any]:
    """The model's config as far as it is known without loading anything; empty when it is not."""
    where = reference(model, folder)
    try:
        if is_fetched(model, folder):
            lock = workspace.source(lock_name(model))
            return lock.config if lock else {}
        if where.startswith("random:"):
            fields = json.loads(_random_config(where, settings))
        elif Path(where).is_dir():
            fields = json.loads((Path(where) / "config.json").read_text(encoding="utf-8"))
        else:
            return {"file_bytes": Path(where).stat().st_size}
    except (OSError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _random_config(where: str, settings: Settings) -> str:
    name = where.removeprefix("random:")
    known = catalogue_for(name, settings.models_dir)
    config = known[name].config if name in known else None
    if config is not None:
        return json.dumps(dict(config), sort_keys=True)
    return Path(name).read_text(encoding="utf-8", errors="replace")


def _counts(file: Path, root: Path) -> bool:
    hidden = any(part.startswith(_HIDDEN) for part in file.relative_to(root).parts)
    return file.is_file() and not hidden


def _hash_of(names: Iterable[str]) -> str:
    hashed = hashlib.sha256()
    for name in names:
        root = _PACKAGE / name
        for file in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if file.is_file() and file.suffix in _CODE_SUFFIXES:
                hashed.update(f"{file.relative_to(_PACKAGE)}\0".encode() + file.read_bytes())
    return hashed.hexdigest()
