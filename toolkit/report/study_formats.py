"""The formats of a study's report."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from toolkit.errors import UsageError
from toolkit.extras import install_command
from toolkit.files import write_whole
from toolkit.registry import Registry
from toolkit.report.markdown import escaped
from toolkit.report.study_content import StudyContent
from toolkit.settings import Settings

Writer = Callable[[StudyContent, Path, Settings], None]


def _drawn(module: str, function: str) -> Writer:
    """A writer that needs the extra [report], imported when it is used."""

    def write(content: StudyContent, output: Path, settings: Settings) -> None:
        try:
            writer: Writer = getattr(importlib.import_module(module), function)
        except ModuleNotFoundError as error:
            raise UsageError(
                f"the report needs the package {error.name!r}",
                next_step=f"Install it with: {install_command('report')}, or take --format md.",
            ) from None
        writer(content, output, settings)

    return write


def _markdown(content: StudyContent, output: Path, settings: Settings) -> None:
    write_whole(output, "\n".join(_document(content)) + "\n")


def _json(content: StudyContent, output: Path, settings: Settings) -> None:
    fields = {
        "title": content.title,
        "question": content.question,
        "created": content.created.isoformat(),
        "conditions": list(content.conditions),
        "findings": [asdict(one) for one in content.findings],
        "table": {
            "columns": [title for title, _ in content.table.columns],
            "rows": [list(row) for row in content.table.rows],
        },
        "figures": [asdict(one) for one in content.figures],
        "left_out": [{"model": model, "why": why} for model, why in content.left_out],
    }
    write_whole(output, json.dumps(fields, indent=2, ensure_ascii=False) + "\n")


FORMATS: Registry[Writer] = Registry("format", UsageError)
for _name, _writer in (
    ("html", _drawn("toolkit.report.study_page", "write_html")),
    ("md", _markdown),
    ("json", _json),
    ("svg", _drawn("toolkit.report.study_pictures", "write_svg")),
    ("png", _drawn("toolkit.report.study_pictures", "write_png")),
):
    FORMATS.register(_name, _writer)


def _document(content: StudyContent) -> Iterator[str]:
    yield f"# {escaped(content.title)}\n"
    made = f"Made {content.created:%Y-%m-%d %H:%M} UTC by slm-toolkit {content.toolkit_version}."
    yield f"{escaped(content.question)} {made}\n"
    yield "## Findings\n"
    yield from _table(
        ["verdict", "statement", "effect", "why", "on", "published numbers"],
        [
            [one.verdict, one.statement, one.effect, one.why, one.where, one.published or "-"]
            for one in content.findings
        ],
    )
    behind = [one for one in content.findings if one.rows]
    if behind:
        yield "Runs behind each:\n"
        yield from (
            f"- {escaped(one.statement)}, on {escaped(one.where)}: {' '.join(one.rows)}" for one in behind
        )
        yield ""
    yield "## Numbers\n"
    yield from _table([title for title, _ in content.table.columns], content.table.rows)
    yield "## Conditions\n"
    yield from (f"- {escaped(sentence)}" for sentence in content.conditions)
    if content.left_out:
        yield "\n## Left out\n"
        yield from (f"- {escaped(model)}: {escaped(why)}" for model, why in content.left_out)


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(map(escaped, headers)) + " |"
    yield "| " + " | ".join("---" for _ in headers) + " |"
    yield from ("| " + " | ".join(map(escaped, row)) + " |" for row in rows)
    yield ""
