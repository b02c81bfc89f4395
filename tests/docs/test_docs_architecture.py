"""docs/architecture.md says who may import whom, and the code keeps to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
from documents import DOCS, ROOT
from imports import Import, circles, imports_within

TOOLKIT = ROOT / "toolkit"
RUNNER = ROOT / "device_runner"
_PATH = re.compile("`([a-z_./]+)`")
_INCLUDE = re.compile('^#include "([a-z_]+)/', re.MULTILINE)


@dataclass(frozen=True)
class Floors:
    """What the page says.

    Attributes:
        rooms: paths below toolkit/, room by room, the top one first.
        never: (importer, imported) that the order would allow.
    """

    rooms: list[list[Path]]
    never: list[tuple[Path, Path]]

    @cached_property
    def _rank(self) -> dict[Path, int]:
        return {path: rank for rank, room in enumerate(self.rooms) for path in room}

    def room_of(self, module: Path) -> int | None:
        """Which room a module is in: the one with the longest path to it. None when no line has it."""
        for path in (module, *module.parents):
            if path in self._rank:
                return self._rank[path]
        return None

    def objections(self, imports: list[Import]) -> list[str]:
        """What is wrong with imports, one sentence each."""
        found = []
        for each in imports:
            above, below = self.room_of(each.importer), self.room_of(each.imported)
            if above is None or below is None:
                found.append(f"{each}: one of them is in no room")
            elif below < above:
                found.append(f"{each}: upwards")
            found += [
                f"{each}: never"
                for importer, imported in self.never
                if each.importer.is_relative_to(importer) and each.imported.is_relative_to(imported)
            ]
        return found


def parse(page: str) -> Floors:
    section = page.split("## Who may import whom")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    rules = [line.split(" never import ") for line in section.splitlines() if " never import " in line]
    return Floors(
        rooms=[[Path(path) for path in _PATH.findall(row)] for row in rows],
        never=[
            (Path(importer), Path(imported))
            for importers, importeds in rules
            for importer in _PATH.findall(importers)
            for imported in _PATH.findall(importeds)
        ],
    )


@pytest.fixture(scope="module")
def floors() -> Floors:
    return parse((DOCS / "architecture.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    # Importing any module runs toolkit/__init__.py first, which therefore imports lazily: it is on no floor.
    return [each for each in imports_within(TOOLKIT) if each.importer != Path("__init__.py")]


def test_imports_point_downwards(floors: Floors, imports: list[Import]) -> None:
    objections = floors.objections(imports)
    assert not objections, "\n".join(["see docs/architecture.md, Who may import whom:", *objections])


def test_no_modules_import_each_other_in_a_circle(imports: list[Import]) -> None:
    assert not circles(imports)


def test_the_tree_of_the_page_is_the_tree_of_the_code(floors: Floors) -> None:
    said = [path for room in floors.rooms for path in room]
    folders = {file.parent.relative_to(TOOLKIT) for file in TOOLKIT.rglob("*.py") if file.parent != TOOLKIT}
    modules = {Path(file.name) for file in TOOLKIT.glob("*.py") if file.name != "__init__.py"}
    missing = sorted(map(str, (folders | modules) - set(said)))
    gone = sorted(str(path) for path in said if not (TOOLKIT / path).exists())
    assert not missing, f"add a line to docs/architecture.md, Who may import whom: {', '.join(missing)}"
    assert not gone, f"docs/architecture.md names what is not there: {', '.join(gone)}"
    assert len(said) == len(set(said))


def test_the_package_itself_imports_nothing_when_it_is_imported() -> None:
    at_once = re.findall("^(?:from|import) toolkit.*", (TOOLKIT / "__init__.py").read_text(), re.MULTILINE)
    assert at_once == []


def test_the_runners_folders_link_those_before_them_only() -> None:
    page = (DOCS / "runner.md").read_text(encoding="utf-8").split("## As a library")[1].split("\n## ")[0]
    said = [
        name.strip("/")
        for line in page.splitlines()
        if line.startswith("| `")
        for name in _PATH.findall(line.split("|")[1])
    ]
    there = {file.parent.name for file in RUNNER.glob("*/CMakeLists.txt")}
    assert sorted(said) == sorted(there - {"tests", "benchmarks"})
    upwards = []
    for folder in said:
        for file in sorted((RUNNER / folder).rglob("*")):
            if file.suffix not in (".h", ".cpp"):
                continue
            used = set(_INCLUDE.findall(file.read_text(encoding="utf-8"))) & set(said)
            upwards += [f"{file.name} includes {x}/" for x in used if said.index(x) > said.index(folder)]
    assert not upwards, f"see docs/runner.md, As a library: {', '.join(upwards)}"


# The judge itself, on a small package.

_PAGE = """
## Who may import whom

| Room | What |
|---|---|
| `top/` `top/inner/` | x |
| `side/` | x |
| `low/` `base.py` | x |

- `side/` never import `low/`

## Next
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "small"
    for folder in ("top/inner", "side", "low"):
        (root / folder).mkdir(parents=True)
        (root / folder / "__init__.py").touch()
    (root / "top/__init__.py").touch()
    (root / "__init__.py").touch()
    (root / "base.py").touch()
    (root / "low/ground.py").touch()
    (root / "top/view.py").write_text(
        "import small\nfrom small.low import ground\nfrom small.side import nothing\n"
    )
    return root


@pytest.mark.parametrize(
    ("file", "text", "objection"),
    [
        ("low/new.py", "from small.top.view import x", "low/new.py:1 imports top/view.py: upwards"),
        ("low/new.py", "def f():\n    import small.top.view", "low/new.py:2 imports top/view.py: upwards"),
        (
            "low/new.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from small.top import view",
            "low/new.py:3 imports top/view.py: upwards",
        ),
        ("side/new.py", "from small.low.ground import x", "side/new.py:1 imports low/ground.py: never"),
        (
            "new/new.py",
            "from small.low import ground",
            "new/new.py:1 imports low/ground.py: one of them is in no room",
        ),
    ],
)
def test_an_import_against_the_page_is_found(package: Path, file: str, text: str, objection: str) -> None:
    (package / file).parent.mkdir(exist_ok=True)
    floors = parse(_PAGE)
    assert floors.objections(imports_within(package)) == []
    (package / file).write_text(text)
    assert floors.objections(imports_within(package)) == [objection]


def test_a_circle_is_found(package: Path) -> None:
    assert circles(imports_within(package)) == []
    (package / "top/inner/detail.py").write_text("from small.top.view import x")
    (package / "low/ground.py").write_text("def f():\n    from small.top.inner import detail")
    names = [[str(path) for path in circle] for circle in circles(imports_within(package))]
    assert names == [["low/ground.py", "top/inner/detail.py", "top/view.py"]]
