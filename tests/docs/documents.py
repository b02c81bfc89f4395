"""The project's own Markdown."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def documents() -> Iterator[Path]:
    """Every page that people read."""
    yield from (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))
    yield from sorted(DOCS.rglob("*.md"))


def generator() -> ModuleType:
    """What `make docs` runs. The folder's name is not imported: another package may be called docs, too."""
    if (loaded := sys.modules.get("docs_generate")) is not None:
        return loaded
    folder = DOCS / "generate"
    spec = importlib.util.spec_from_file_location(
        "docs_generate", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    module = sys.modules["docs_generate"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
