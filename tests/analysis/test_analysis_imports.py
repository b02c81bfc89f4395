from __future__ import annotations

import ast
from pathlib import Path

import toolkit.store


def test_the_database_does_not_know_who_judges_its_runs() -> None:
    for path in Path(toolkit.store.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            above = [name for name in modules if name.startswith(("toolkit.analysis", "toolkit.report"))]
            assert not above, path
