"""Who imports whom in toolkit/, read from its source: every import, wherever it stands in a file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Import:
    """An import of one of the package's modules by another; both as paths below the package."""

    importer: Path
    line: int
    imported: Path

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def imports_within(package: Path) -> list[Import]:
    """All imports among a package's own modules, those in functions and for the type checker included."""
    # A statement that imports several names of a module is one import.
    found: dict[Import, None] = {}
    for file in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for name in _names(node):
                imported = _module_file(package, name)
                if imported is not None and imported != file:
                    found[Import(file.relative_to(package), node.lineno, imported.relative_to(package))] = (
                        None
                    )
    return list(found)


def circles(imports: list[Import]) -> list[list[Path]]:
    """Modules that import each other, directly or through others: Tarjan's strongly connected components."""
    successors: dict[Path, set[Path]] = {}
    for each in imports:
        successors.setdefault(each.importer, set()).add(each.imported)
    index: dict[Path, int] = {}
    lowest: dict[Path, int] = {}
    stack: list[Path] = []
    found: list[list[Path]] = []

    def visit(module: Path) -> None:
        index[module] = lowest[module] = len(index)
        stack.append(module)
        for successor in sorted(successors.get(module, ())):
            if successor not in index:
                visit(successor)
                lowest[module] = min(lowest[module], lowest[successor])
            elif successor in stack:
                lowest[module] = min(lowest[module], index[successor])
        if lowest[module] == index[module]:
            start = stack.index(module)
            component = stack[start:]
            del stack[start:]
            if len(component) > 1:
                found.append(sorted(component))

    for module in sorted(successors):
        if module not in index:
            visit(module)
    return found


def _names(node: ast.AST) -> Iterator[str]:
    """Dotted names that a statement imports; ``from a import b`` gives ``a.b``, a module or not."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute here"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module_file(package: Path, name: str) -> Path | None:
    """The file that a name stands in; None of other packages, and of the package itself."""
    first, *parts = name.split(".")
    if first != package.name:
        return None
    # The last part of a name may be something within a module.
    for length in (len(parts), len(parts) - 1):
        path = package.joinpath(*parts[: max(length, 0)])
        if length > 0 and path.with_suffix(".py").is_file():
            return path.with_suffix(".py")
        if length > 0 and (path / "__init__.py").is_file():
            return path / "__init__.py"
    return None
