"""What a snapshot in the hub library's cache is known to hold.

Other programs fill the same cache with what they need themselves. A file that is not there may be missing
from the repository or from the cache only: the hub library's marks (``.no_exist/COMMIT/NAME``) say which.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from toolkit.sources.adapters import ADAPTER_CONFIG
from toolkit.sources.prequantized import QUANTIZATION_FILES
from toolkit.sources.side_files import TOKENIZER_FILES

CONFIG = "config.json"
# Everything beside the weights that a conversion reads, or refuses to overlook.
TEXT_FILES = (CONFIG, *TOKENIZER_FILES, ADAPTER_CONFIG, *QUANTIZATION_FILES)
# Where a model names the Python code that comes with it.
_NAME_CODE = (CONFIG, "tokenizer_config.json")


def unknown_files(snapshot: Path, *, with_code: bool) -> list[str]:
    """Files that are not in a snapshot, although the repository may have them.

    Args:
        snapshot: a commit's folder in the cache.
        with_code: look for the model's Python code, too.
    """
    names = [*TEXT_FILES, *(_code_files(snapshot) if with_code else ())]
    return [name for name in names if not (snapshot / name).is_file() and not _mark(snapshot, name).is_file()]


def mark_absent(snapshot: Path, names: Iterable[str]) -> None:
    """Note, as the hub library does, that a commit has no such files."""
    for name in names:
        mark = _mark(snapshot, name)
        try:
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        except OSError:
            # A cache that is only read: the hub is asked again the next time.
            return


def _mark(snapshot: Path, name: str) -> Path:
    return snapshot.parents[1] / ".no_exist" / snapshot.name / name


def _code_files(snapshot: Path) -> list[str]:
    """The Python files that a model names, and those that these import from beside them."""
    from transformers.dynamic_module_utils import get_relative_imports

    waiting = [module for name in _NAME_CODE for module in _modules(_read(snapshot / name).get("auto_map"))]
    found: list[str] = []
    while waiting:
        name = f"{waiting.pop()}.py"
        # What lies in other folders, transformers does not look for either.
        if name in found or Path(name).name != name:
            continue
        found.append(name)
        if (snapshot / name).is_file():
            try:
                waiting += get_relative_imports(snapshot / name)
            except UnicodeDecodeError:
                continue
    return found


def _modules(auto_map: object) -> Iterator[str]:
    """Modules of ``{"AutoConfig": "module.Class", "AutoTokenizer": ["module.Class", None]}``."""
    for value in auto_map.values() if isinstance(auto_map, dict) else ():
        for one in value if isinstance(value, list) else [value]:
            # "owner/name--module.Class" is code of another repository.
            if isinstance(one, str) and "--" not in one:
                yield one.partition(".")[0]


def _read(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        # Its reader says what is wrong with it.
        return {}
    return fields if isinstance(fields, dict) else {}
