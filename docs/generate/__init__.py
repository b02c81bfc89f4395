"""Writes docs/reference: what can be read out of the code, so that it cannot drift from it.

Run by `make docs`; tests/docs checks that the files are what this would write.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .commands import command_line
from .families import families
from .markdown import NOTE, cell
from .support import collected_tests, support

__all__ = ["command_line", "families", "main", "pages", "support"]

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
FAMILIES = ROOT / "docs" / "families.md"


def main() -> None:
    """Write all pages and remove those that are no longer made."""
    REFERENCE.mkdir(exist_ok=True)
    written = pages()
    for stale in REFERENCE.iterdir():
        if stale.name not in written:
            stale.unlink()
    for name, text in written.items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
    FAMILIES.write_text(families(), encoding="utf-8")


def pages() -> dict[str, str]:
    """Content of each file in docs/reference, by its name."""
    made = {
        "cli.md": command_line(),
        "errors.md": errors(),
        "columns.md": columns(),
        "measurements.md": measurements(),
        "recipes.md": recipes(),
        "support.md": support(collected_tests()),
        **schemas(),
    }
    return {"README.md": index(made), **made}


def index(made: Sequence[str] | dict[str, str]) -> str:
    """The folder's table of contents."""
    about = {
        "cli.md": "every command with its options and examples",
        "errors.md": "error classes and exit codes",
        "columns.md": "what stored runs can be filtered and sorted by",
        "measurements.md": "figures that some runs have, and what they mean",
        "recipes.md": "recipes that come with the toolkit",
        "support.md": "model types, backends and schemes that the tests run",
        "manifest.schema.json": "an artifact's `manifest.json`",
        "result.schema.json": "one line of the runner's output",
        "run.schema.json": "a run's `run.json`, put on the device before it starts",
        "recipe.schema.json": "a recipe",
        "batch-status.schema.json": "the state of a batch, for `slm report --batch`",
    }
    lines = [f"- [{name}]({name}): {about[name]}" for name in made]
    return "\n".join(
        (NOTE, "# Reference\n", "Read out of the code by `make docs`; a test compares.\n", *lines, "")
    )


def errors() -> str:
    """The tree of errors with exit codes."""
    from toolkit.errors import ToolkitError

    lines = [
        NOTE,
        "# Errors\n",
        "Every expected failure is one of these. The command line shows it without a traceback and exits "
        "with its class's code; a traceback is a bug. 130 is Ctrl-C, and 2 also an unknown option.\n",
        "| class | exit code | when |",
        "| --- | ---: | --- |",
    ]

    def rows(error: type[ToolkitError], depth: int) -> Iterator[str]:
        meaning = (error.__doc__ or "").strip().splitlines()[0]
        yield f"| {'&nbsp;&nbsp;' * depth}`{error.__name__}` | {error.exit_code} | {cell(meaning)} |"
        for child in error.__subclasses__():
            if child.__module__ == "toolkit.errors":
                yield from rows(child, depth + 1)

    return "\n".join([*lines, *rows(ToolkitError, 0), ""])


def columns() -> str:
    """Names for --where and --sort."""
    from toolkit.store.columns import all_columns

    lines = [
        NOTE,
        "# Columns of stored runs\n",
        "For `--where` and `--sort` of `slm results list` and its like, and of `slm report`. Times are "
        "nanoseconds since 1970 and may be written as dates.\n",
        "| column | short | values |",
        "| --- | --- | --- |",
    ]
    for column in all_columns().values():
        lines.append(f"| `{column.name}` | {f'`{column.short}`' if column.short else ''} | {column.kind} |")
    return "\n".join([*lines, ""])


def measurements() -> str:
    """The vocabulary of measurements."""
    from toolkit.store.measurements import VOCABULARY

    lines = [
        NOTE,
        "# Measurements\n",
        "Figures that only some runs have: one row each in the table `measurements`, and a column wherever "
        "runs have columns. Figures that every run has are defined in [protocol.md](../protocol.md).\n",
        "| name | unit | one for each | definition |",
        "| --- | --- | --- | --- |",
    ]
    for name in VOCABULARY:
        one = VOCABULARY.get(name)
        lines.append(f"| `{one.name}` | {one.unit} | {one.of} | {cell(one.definition)} |")
    return "\n".join([*lines, ""])


def recipes() -> str:
    """The shipped recipes with the headers that they open with."""
    lines = [
        NOTE,
        "# Recipes\n",
        "Run one with `slm recipe run FILE`; `slm recipe plan FILE` shows its steps.\n",
    ]
    for path in sorted((ROOT / "recipes").glob("*/*.yaml")):
        name = path.relative_to(ROOT).as_posix()
        header = []
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                break
            header.append(line.removeprefix("#").removeprefix(" "))
        lines += [f"## [{name}](../../{name})\n", "```", *header, "```\n"]
    return "\n".join(lines)


def schemas() -> dict[str, str]:
    """JSON Schemas of the files that others may read or write."""
    from pydantic import TypeAdapter

    from toolkit.artifact import Manifest
    from toolkit.profiling.description import RunDescription
    from toolkit.profiling.records import AnyRecord
    from toolkit.recipes.schema import json_schema
    from toolkit.recipes.step_kinds import recipe_type
    from toolkit.report.batch import BatchStatus

    record: TypeAdapter[Any] = TypeAdapter(AnyRecord)
    found = {
        "manifest.schema.json": Manifest.model_json_schema(by_alias=True),
        "result.schema.json": record.json_schema(by_alias=True),
        "run.schema.json": RunDescription.model_json_schema(by_alias=True),
        "recipe.schema.json": json_schema(recipe_type()),
        "batch-status.schema.json": BatchStatus.model_json_schema(),
    }
    return {name: json.dumps(schema, indent=2) + "\n" for name, schema in found.items()}
