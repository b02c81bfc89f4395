"""Writes docs/reference: what can be read out of the code, so that it cannot drift from it.

Run by `make docs`; tests/docs checks that the files are what this would write.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.models.support import Support

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
FAMILIES = ROOT / "docs" / "families.md"
NOTE = "<!-- Written by `make docs`; do not edit. -->\n"


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


def command_line() -> str:
    """All commands, from the command tree: no terminal's width is in it."""
    import typer

    from toolkit.cli.main import app

    lines = [NOTE, "# Commands\n", "The same is shown by `slm COMMAND --help`.\n"]
    for path, command in walk(typer.main.get_command(app), ("slm",)):
        lines += _command(path, command)
    return "\n".join(lines)


def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """A command and all below it, in the order in which they are shown."""
    yield path, command
    for name, child in sorted(getattr(command, "commands", {}).items()):
        yield from walk(child, (*path, name))


def _command(path: tuple[str, ...], command: Any) -> Iterator[str]:
    from toolkit.cli.option_groups import grouped

    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    tail = "COMMAND ..." if getattr(command, "commands", None) else "[OPTIONS]"
    usage = " ".join((*path, *([tail] if options or tail[0] == "C" else []), *map(_argument, arguments)))
    yield f"{'#' * (len(path) + 1)} {' '.join(path)}\n"
    yield f"```\n{usage}\n```\n"
    yield _help(command.help or "")
    groups = grouped(options)
    if len(groups) < 2:
        groups = {"": [*arguments, *options]}
    elif arguments:
        groups = {"Arguments": arguments, **groups}
    for title, members in groups.items():
        if not members:
            continue
        if title:
            yield f"**{title}**\n"
        yield "| option | meaning | default |\n| --- | --- | --- |"
        for parameter in members:
            names = ", ".join(f"`{name}`" for name in _names(parameter))
            yield f"| {names} | {_cell(parameter.help or '')} | {_default(parameter)} |"
        yield ""


def _names(parameter: Any) -> Sequence[str]:
    if parameter.param_type_name == "argument":
        return [_argument(parameter)]
    return (*parameter.opts, *parameter.secondary_opts)


def _argument(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name.upper()).strip("[].")
    return f"{name}..." if parameter.nargs == -1 else name


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    if value is None or value in ("", (), []) or value is False or callable(value):
        return ""
    return f"`{', '.join(map(str, value)) if isinstance(value, list | tuple) else value}`"


def _help(text: str) -> str:
    """Help text as Markdown: paragraphs that are kept as they are become code blocks."""
    parts = inspect.cleandoc(text).split("\n\n")
    shown = []
    for part in parts:
        if part.startswith("\b\n"):
            heading, _, block = part[2:].partition("\n")
            shown.append(f"{heading}\n\n```\n{inspect.cleandoc(block)}\n```")
        else:
            shown.append(part.replace("<", "&lt;").replace("*", "\\*"))
    return "\n\n".join(shown) + "\n"


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
        yield f"| {'&nbsp;&nbsp;' * depth}`{error.__name__}` | {error.exit_code} | {_cell(meaning)} |"
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
        lines.append(f"| `{one.name}` | {one.unit} | {one.of} | {_cell(one.definition)} |")
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


_BACKENDS = {"tests/export/": "onnxruntime", "tests/export_executorch/": "executorch"}
_PARITY = "test_quantized_artifacts_stay_close_to_transformers"
_FP32 = "test_fp32_logits_equal_transformers_over_prefill_and_decode"
_MODEL_TYPE_TESTS = (
    "tests/export/test_export_model_types.py",
    "tests/export_executorch/test_executorch_model_types.py",
)
# Collecting needs neither, and their imports take longer than all else.
_NOT_NEEDED = ("--noconftest", "-p", "no:hypothesispytest")


def collected_tests() -> list[str]:
    """Ids of the model-type tests that `make test` runs, as pytest itself lists them."""
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "not soak", *_NOT_NEEDED]
    done = subprocess.run(
        [*collect, *_MODEL_TYPE_TESTS],
        cwd=ROOT,
        # Whatever the user adds to pytest's options changes what it prints.
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"pytest cannot collect the model-type tests:\n{done.stdout}{done.stderr}")
    return [line for line in done.stdout.splitlines() if "::" in line]


def support(tests: Sequence[str]) -> str:
    """Model types by backend and scheme, from the tests' ids."""
    tested: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for test in tests:
        backend = next(name for folder, name in _BACKENDS.items() if test.startswith(folder))
        function, _, parameters = test.rpartition("::")[2].rstrip("]").partition("[")
        if function == _FP32:
            tested[parameters][backend].append("fp32")
        elif function == _PARITY:
            scheme, _, model_type = parameters.partition("-")
            tested[model_type][backend].append(scheme)
    lines = [
        NOTE,
        "# What is tested\n",
        "Schemes in which every `make test` converts a small random model of the type and compares it with "
        "transformers: fp32 logits within 1e-3 over a prefill and 8 decode steps, quantized ones by the "
        "parity limits of their scheme. Other schemes are tested on single model types only.\n",
        "| model type | " + " | ".join(_BACKENDS.values()) + " |",
        "| --- |" + " --- |" * len(_BACKENDS),
    ]
    for model_type, backends in tested.items():
        cells = (", ".join(backends[name]) or "-" for name in _BACKENDS.values())
        lines.append(f"| {model_type} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def families() -> str:
    """What was measured of tiny models of each family; ``toolkit/models/support.csv`` holds it."""
    from toolkit.engines import ENGINES
    from toolkit.models.support import read_support

    rows = read_support()
    titles = {name: ENGINES.get(name).title for name in ENGINES}
    places = {(row.config, row.engine, row.scheme): row for row in rows}
    configs = {row.config: row.model_type for row in rows}
    judged = {engine: [r for r in rows if (r.engine, r.scheme) == (engine, "fp32")] for engine in titles}
    counts = []
    for engine, title in titles.items():
        known = [row for row in judged[engine] if row.outcome != "unjudged"]
        passed = [row for row in known if row.outcome == "converts"]
        types = {row.model_type for row in known if row.model_type}
        good = types - {row.model_type for row in known if row.outcome != "converts"}
        counts.append(
            f"{title} {len(passed)} of {len(known)} configs (of {len(good)} of {len(types)} model types all)"
        )

    made = [row for row in rows if row.scheme == "fp32" and row.outcome == "converts"]
    twice = sum(row.same_from_cache is True for row in made)

    tiny = {path.stem for path in (ROOT / "tests" / "families" / "configs").glob("*.json")}
    unknown = sorted(tiny - configs.keys())
    quantized = {row.config for row in rows if row.scheme != "fp32"}

    def cell(row: Support | None) -> str:
        if row is None:
            return "not run"
        if row.outcome == "coarse":
            return f"coarse, {row.divergence:.1e}"
        if row.outcome != "converts":
            return row.outcome
        return f"{row.difference:.1e}" if row.divergence is None else f"KL {row.divergence:.2g}"

    missing = [
        f"The table is not whole. It has {len(configs)} of {len(tiny)} configs, "
        f"{len(quantized)} of them in 8da4w. Not measured: {', '.join(unknown)}. "
        "Some of these are compared in fp32 by `tests/families/test_families_mechanisms.py`.\n"
    ]

    lines = [
        NOTE,
        "# Families of models\n",
        "Tiny configs with random weights (`tests/families/configs/`) are converted, then run in the "
        "engine's own Python runtime over a prefill, single steps and a prefill in chunks, beside "
        "transformers. In fp32 the number is the largest difference of a logit, allowed are 1e-3; in "
        "8da4w it is the mean KL divergence in nats, allowed is the scheme's parity limit. "
        "`tests/families/matrix.py` measures, `make soak` compares. Configs named `q-` try out single "
        "switches, `*-remote` have code in their folder that is not run, of `*-multimodal` the text "
        "decoder is taken. unjudged: transformers itself does not run it. transformers makes the factors of "
        "xIELU in bfloat16 whatever is asked for (`llama-xielu`); compared is the same formula in float32.\n",
        "coarse: it converts, and its logits are further from transformers' than the limit. This number "
        "alone does not tell rounding from a fault. The soak `tests/families/test_families_rounded.py` alone "
        "does, which `make test` leaves out: with the same rounded weights in transformers, the logits of "
        "each such config are the same to 1e-3 on both engines. Weights have 4 bits there, activations are "
        "exact.\n",
        f"In fp32 convert: {'; '.join(counts)}. Of these {len(made)} artifacts {twice} were made a second "
        "time, by another process from what the cache held then: the same byte for byte.\n",
        *(missing if unknown else ()),
        _tried(rows),
        "| config | model type | "
        + " | ".join(f"{title}, {scheme}" for title in titles.values() for scheme in ("fp32", "8da4w"))
        + " | official runtime | runner |",
        "| --- | --- |" + " ---: |" * 2 * len(titles) + " --- | --- |",
    ]
    for config, model_type in configs.items():
        cells = [
            cell(places.get((config, engine, scheme))) for engine in titles for scheme in ("fp32", "8da4w")
        ]
        plain = {title: places.get((config, engine, "fp32")) for engine, title in titles.items()}
        cells += [
            _same_tokens({title: row.official for title, row in plain.items() if row is not None}),
            _same_tokens({title: row.runner for title, row in plain.items() if row is not None}),
        ]
        lines.append(f"| {config} | {model_type or '-'} | {' | '.join(cells)} |")
    lines += ["\n## Why the others do not\n", "| config | on | reason |", "| --- | --- | --- |"]
    for row in rows:
        # What is refused in fp32 is refused in any scheme.
        if row.outcome != "converts" and (row.scheme == "fp32" or row.outcome == "wrong"):
            lines.append(f"| {row.config} | {titles[row.engine]}, {row.scheme} | {_cell(row.reason)} |")
    return "\n".join([*lines, ""])


def _tried(rows: Sequence[Support]) -> str:
    """How many artifacts were run by the official runtimes and by the runner."""

    def count(flags: Iterable[bool | None]) -> str:
        known = [flag for flag in flags if flag is not None]
        return f"{sum(known)} of {len(known)}"

    official, runner = count(row.official for row in rows), count(row.runner for row in rows)
    return (
        "Official runtime: the fp32 artifact gives transformers' greedy tokens in the Python package that "
        f"the engine's makers publish, without the toolkit's sessions ({official} that were tried). Runner: "
        f"`slm profile`, with the prompt in chunks, gives the greedy tokens of the host ({runner}). A blank "
        "was not tried, or did not run.\n"
    )


def _same_tokens(found: Mapping[str, bool | None]) -> str:
    """On which engines tokens were the same, and on which they were not."""
    return ", ".join(f"{title}{'' if same else ': no'}" for title, same in found.items() if same is not None)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    main()
