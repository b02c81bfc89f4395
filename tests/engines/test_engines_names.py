"""Only an engine's own files name it: the others ask its spec."""

from __future__ import annotations

import re
from pathlib import Path

import toolkit
from toolkit.engines import ENGINES

TOOLKIT = Path(toolkit.__file__).parent
# The last has packages by the names that pip knows.
OWN = ("engines/", "export/onnx/", "export/executorch/", "extras.py")
# Words for parts of engines, beside their own names.
PARTS = ("xnnpack", "onnx", "ort", "matmulnbits", "genai", r"\w*executionprovider")


def test_no_file_outside_an_engines_own_names_it() -> None:
    names = {word for engine in ENGINES.values() for word in (engine.name, engine.title, engine.package)}
    named = re.compile("|".join(rf"(?<![a-z]){re.escape(word)}" for word in sorted(names)), re.IGNORECASE)
    part = re.compile(rf"(?<![a-z])(?:{'|'.join(PARTS)})(?![a-z])", re.IGNORECASE)
    found = []
    for file in sorted(TOOLKIT.rglob("*")):
        path = file.relative_to(TOOLKIT).as_posix()
        # Tables hold what was measured of engines.
        if not file.is_file() or file.suffix in (".pyc", ".csv") or path.startswith(OWN):
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if named.search(line) or part.search(line):
                found.append(f"{path}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)
