"""A YAML file as plain data, with the position of everything in it.

PyYAML's parser is used for its marks only: values are made here, so that no tag can build an object, no
alias can blow a file up, and no duplicate key is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from toolkit.recipes.problems import Problems
from toolkit.recipes.scalars import AmbiguousScalar, plain_value

Position = tuple[int, int]
PathInFile = tuple[str | int, ...]

# Far above any recipe, far below what makes a reader suffer.
_MAXIMUM_BYTES = 1 << 20
_MAXIMUM_DEPTH = 16
_MAXIMUM_NODES = 20_000
_TOP: Position = (1, 1)


@dataclass
class Document:
    """A parsed file.

    Attributes:
        data: dicts, lists, strings, numbers, booleans, None.
        positions: where each value begins, by its path.
        keys: where each mapping key is, by the path of its value.
        problems: what is wrong so far.
    """

    data: Any = None
    positions: dict[PathInFile, Position] = field(default_factory=dict)
    keys: dict[PathInFile, Position] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)

    def position(self, path: PathInFile) -> Position:
        """Where a value is, or the nearest thing around it that the file has."""
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, _TOP)

    def scalars(self) -> Iterator[tuple[PathInFile, Any]]:
        """Path and value of everything that is no mapping and no list."""
        for path in self.positions:
            value = self.data
            for part in path:
                value = value[part]
            if not isinstance(value, dict | list):
                yield path, value

    def key_position(self, path: PathInFile) -> Position:
        """Where the key of a mapping entry is."""
        return self.keys.get(path) or self.position(path)


def read_document(path: Path) -> Document:
    """Read a file; whatever is wrong with it is in ``problems``, nothing is raised."""
    document = Document()
    try:
        raw = path.read_bytes() if path.is_file() else None
    except OSError as error:
        document.problems.add(_TOP, f"cannot be read: {error.strerror}")
        return document
    if raw is None:
        document.problems.add(_TOP, "no such file", "Recipes that come with the toolkit: slm recipe list")
    elif len(raw) > _MAXIMUM_BYTES:
        document.problems.add(_TOP, f"is {len(raw)} bytes; a recipe has at most {_MAXIMUM_BYTES}")
    else:
        _parse_bytes(raw, document)
    return document


def parse_document(text: str) -> Document:
    """As :func:`read_document`, from text."""
    document = Document()
    _parse(text, document)
    return document


def _parse_bytes(raw: bytes, document: Document) -> None:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        document.problems.add((line, column), "is not UTF-8 text", "Save the file in UTF-8.")
        return
    _parse(text, document)


def _parse(text: str, document: Document) -> None:
    try:
        _check_structure(text, document.problems)
        if document.problems:
            return
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        document.problems.add(_at(mark) if mark else _TOP, *_explained(error))
        return
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - (text.rfind("\n", 0, error.position) + 1) + 1
        document.problems.add((line, column), "holds a character that YAML does not allow", "Remove it.")
        return
    except ValueError:
        # PyYAML turns an impossible escape or version into a bare ValueError without a position.
        document.problems.add(_TOP, "is not YAML: an escape or a directive cannot be read")
        return
    if node is None:
        document.problems.add(_TOP, "is empty", "Start with: schema: slm-recipe/1")
        return
    document.data = _Builder(document).build(node, ())


def _check_structure(text: str, problems: Problems) -> None:
    """Look at the events, which need no recursion, before anything recursive runs over the file."""
    depth = nodes = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents == 2:
                problems.add(
                    _at(event.start_mark), "a second document; a recipe is one", "Remove the line ---."
                )
                return
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if isinstance(event, yaml.NodeEvent):
            nodes += 1
        if depth > _MAXIMUM_DEPTH or nodes > _MAXIMUM_NODES:
            what = "nested too deeply" if depth > _MAXIMUM_DEPTH else "too many values"
            problems.add(_at(event.start_mark), f"{what} for a recipe")
            return


def _explained(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    problem = error.problem or "is not YAML"
    if "'\\t'" in problem or (error.problem_mark and _char_at(error.problem_mark) == "\t"):
        return "a tab where YAML wants spaces", "Indent with spaces."
    if "undefined alias" in problem:
        return problem, "Define it above with &NAME."
    context = f"{error.context}: " if error.context else ""
    return f"{context}{problem}", ""


def _char_at(mark: yaml.Mark) -> str:
    return mark.buffer[mark.pointer] if mark.buffer and mark.pointer < len(mark.buffer) else ""


def _at(mark: Any) -> Position:
    return mark.line + 1, mark.column + 1


class _Builder:
    """Turns nodes into values and notes positions and problems."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._problems = document.problems
        self._nodes = 0
        self._open: list[yaml.Node] = []

    def build(self, node: yaml.Node, path: PathInFile) -> Any:
        self._nodes += 1
        at = _at(node.start_mark)
        if any(node is parent for parent in self._open):
            self._problems.add(at, "an alias to something that it is part of")
            return None
        # Each alias counts with all that it stands for: ten lines of aliases can mean a billion values.
        if self._nodes > _MAXIMUM_NODES:
            if self._nodes == _MAXIMUM_NODES + 1:
                self._problems.add(
                    at, "too many values for a recipe, aliases counted with what they stand for"
                )
            return None
        self._document.positions.setdefault(path, at)
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                self._check_tag(node, "tag:yaml.org,2002:seq")
                return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._scalar(node)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, path: PathInFile) -> dict[str, Any]:
        self._check_tag(node, "tag:yaml.org,2002:map")
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            at = _at(key_node.start_mark)
            key = self._key(key_node)
            if key is None:
                continue
            if key in built:
                first = self._document.keys[(*path, key)]
                self._problems.add(at, f"{key!r} is given twice, first in line {first[0]}", "Keep one.")
                continue
            self._document.keys[(*path, key)] = at
            built[key] = self.build(value_node, (*path, key))
        return built

    def _key(self, node: yaml.Node) -> str | None:
        at = _at(node.start_mark)
        if not isinstance(node, yaml.ScalarNode):
            self._problems.add(at, "a key must be a word")
            return None
        if node.value == "<<" and node.style is None:
            self._problems.add(at, "merge keys (<<) are not part of YAML 1.2", "Write the entries out.")
            return None
        value = self._scalar(node)
        if not isinstance(value, str):
            if not self._problems.has(at):
                self._problems.add(at, f"a key must be a word, not {node.value[:40]!r}")
            return None
        return value

    def _scalar(self, node: yaml.Node) -> str | int | float | bool | None:
        at = _at(node.start_mark)
        text = str(node.value)
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._problems.add(at, "holds half of a surrogate pair, which is no character")
            return None
        if node.style is not None:  # type: ignore[attr-defined]
            self._check_tag(node, "tag:yaml.org,2002:str")
            return text
        if "!" in str(node.tag) and not str(node.tag).startswith("tag:yaml.org,2002:"):
            self._check_tag(node, "")
            return text
        try:
            return plain_value(text)
        except AmbiguousScalar as error:
            self._problems.add(at, str(error))
            return None

    def _check_tag(self, node: yaml.Node, expected: str) -> None:
        if node.tag != expected:
            self._problems.add(
                _at(node.start_mark), f"tags are not used in recipes: {str(node.tag)[:60]}", "Remove it."
            )
