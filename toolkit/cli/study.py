"""`slm study`: the survey's measurements on models and devices of one's own."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.recipe_options import (
    ExecutorFlag,
    JobsFlag,
    JsonFlag,
    LimitFlag,
    WorkspaceFlag,
    executor_of,
    phones_of,
    workspace_of,
)
from toolkit.cli.request_options import takes
from toolkit.settings import Settings
from toolkit.studies.request import StudyRequest

if TYPE_CHECKING:
    from toolkit.studies.running import Prepared

app = typer.Typer(
    help="Redo the survey's measurements, beside the published ones.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

StudyName = Annotated[
    str, typer.Argument(help="A study of `slm study list`.", metavar="STUDY", show_default=False)
]
NamedStudy = Annotated[
    str,
    typer.Argument(
        help="A study that was run here, or the --name it was given.", metavar="STUDY", show_default=False
    ),
]


@app.command("list")
def list_studies(as_json: JsonFlag = False) -> None:
    """List the studies.

    \b
    Examples:
      slm study list
    """  # noqa: D301
    from toolkit.cli.tables import line_width, print_facts
    from toolkit.studies.study import STUDIES

    studies = list(STUDIES.values())
    if as_json:
        fields = ("name", "title", "question", "survey", "models", "protocol", "fewest_devices")
        print(json.dumps([{one: getattr(study, one) for one in fields} for study in studies], indent=2))
        return
    print_facts(
        [
            (study.name, study.question + (f" Survey: {study.survey}." if study.survey else ""))
            for study in studies
        ],
        width=line_width(),
    )


@app.command()
def show(study: StudyName) -> None:
    """Show what a study asks, how, and beside whose numbers.

    \b
    Examples:
      slm study show latency-overview
    """  # noqa: D301
    from toolkit.cli.tables import line_width, print_facts
    from toolkit.models.catalogue.catalogue import shipped
    from toolkit.studies.protocols import PROTOCOLS
    from toolkit.studies.study import STUDIES

    found = STUDIES.get(study)
    # A group's members, smallest first; a name stands for itself.
    members = [entry for entry in shipped().values() if found.models in entry.groups]
    members.sort(key=lambda one: one.parameters.unique if one.parameters else math.inf)
    facts = [("study", f"{found.title}: {found.question}")]
    if found.survey:
        facts.append(("redoes", f"{found.survey} of the survey, arXiv 2409.15790"))
    facts += [
        ("models", f"{found.models.replace(',', ', ')}; others with --models"),
        *([("", f"{len(members)}: {', '.join(one.name for one in members)}")] if members else []),
        ("protocol", f"{found.protocol}: {PROTOCOLS[found.protocol].about}"),
    ]
    others = [one for one in PROTOCOLS if one != found.protocol]
    facts += [("", f"or --protocol {name}: {PROTOCOLS[name].about}") for name in others]
    facts += [("quant", ", ".join(found.quant)), ("devices", f"{found.fewest_devices} or more")]
    if found.takes:
        facts.append(("takes", ", ".join(f"--{name.replace('_', '-')}" for name in found.takes)))
    print_facts(facts, width=line_width())


@app.command()
@takes(StudyRequest)
def plan(
    study: StudyName,
    request: StudyRequest,
    workspace: WorkspaceFlag = None,
    recipe: Annotated[
        bool, typer.Option("--recipe", help="Print the recipe and nothing else.", rich_help_panel="Output")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show a study's steps, their time, and what is left out.

    \b
    Examples:
      slm study plan latency-overview --limit-params 700M
      slm study plan latency-overview --models Qwen3-0.6B,SmolLM2-135M --recipe > recipe.yaml
    """  # noqa: D301
    from toolkit.cli.recipe_text import plan_data, print_plan
    from toolkit.recipes.lacking import lacking
    from toolkit.recipes.plan import make_plan
    from toolkit.studies.running import loaded_anywhere, prepare
    from toolkit.studies.study import STUDIES

    settings = Settings.from_environment()
    prepared = prepare(STUDIES.get(study), request, settings)
    if recipe:
        print(prepared.text, end="")
        return
    place = workspace_of(workspace, settings)
    made = make_plan(loaded_anywhere(prepared, settings), place, settings)
    missing = lacking(made, settings)
    if as_json:
        left = [{"model": one.model, "why": one.why} for one in prepared.left_out]
        print(json.dumps({**plan_data(made, place, missing), "study": study, "left_out": left}, indent=2))
        return
    print_plan(made, place, missing)
    _print_left_out(prepared)


@app.command()
@takes(StudyRequest)
def run(
    study: StudyName,
    request: StudyRequest,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Report to write besides the one in its folder.", rich_help_panel="Output"
        ),
    ] = None,
    executor: ExecutorFlag = "local",
    jobs: JobsFlag = None,
    limit: LimitFlag = None,
    workspace: WorkspaceFlag = None,
    as_json: JsonFlag = False,
) -> None:
    """Run what is not done yet of a study, and write its report. Run again after an interruption.

    Models of the catalogue get random weights: speed and memory depend on shapes. A step that fails keeps no
    other from running; the report says so.

    \b
    Examples:
      slm study run latency-overview --models survey --limit-params 700M
      slm study run latency-overview --models SmolLM2-135M,Qwen3-0.6B --device R5CT10ABCDE --protocol standard
      slm study run latency-overview --models SmolLM2-135M-Instruct --quant 8da4w --quant fp16
    """  # noqa: D301
    from toolkit.cli.recipe_text import Narrator, print_summary, summary_data
    from toolkit.errors import StudyError
    from toolkit.recipes.batch import Choice
    from toolkit.recipes.execution import run_recipe
    from toolkit.recipes.status import batch_status
    from toolkit.store import open_store
    from toolkit.studies.running import prepare, write_report, written
    from toolkit.studies.study import STUDIES

    settings = Settings.from_environment()
    place = workspace_of(workspace, settings)
    phones = phones_of(executor)
    prepared = prepare(STUDIES.get(study), request, settings, phones=phones)
    loaded = written(prepared, place, settings)
    if not as_json:
        _print_left_out(prepared)
    narrator = Narrator(place)
    try:
        summary = run_recipe(
            loaded,
            place,
            settings,
            executor_of(executor, jobs, place, settings),
            choice=Choice(limit=limit, keep_going=True),
            listener=narrator,
            phones=phones,
        )
    except KeyboardInterrupt:
        narrator.interrupted()
        raise
    status = batch_status(prepared.name, place)
    if not as_json:
        print_summary(summary, status, place)
    written_to, missing = None, None
    with open_store(settings.store_url) as store:
        try:
            written_to = write_report(prepared.name, None, "html", place, store, settings)
            if output is not None:
                kind = output.suffix.removeprefix(".") or "html"
                written_to = write_report(prepared.name, output, kind, place, store, settings)
        except StudyError as error:
            # What was measured is what the exit code is about; without any of it there is no report yet.
            missing = error
    if as_json:
        found = {**summary_data(summary, status), "report": str(written_to) if written_to else None}
        print(json.dumps(found, indent=2))
    elif written_to:
        print(f"Report: {written_to}")
    if missing is not None:
        print(f"no report: {missing}", file=sys.stderr)
    if summary.exit_code:
        raise typer.Exit(summary.exit_code)


@app.command()
def report(
    study: NamedStudy,
    output: Path | None = typer.Option(
        None, "--output", "-o", help="File to write; for pictures a folder. Default: in the study's folder."
    ),
    format_name: str | None = typer.Option(
        None, "--format", "-f", help="html, md, json, svg or png; by default what -o ends in, else html."
    ),
    workspace: WorkspaceFlag = None,
) -> None:
    """Write the report of a study from what was measured so far.

    \b
    Examples:
      slm study report latency-overview
      slm study report latency-overview -o latency.md
      slm study report latency-overview --format svg -o figures
    """  # noqa: D301
    from toolkit.store import open_store
    from toolkit.studies.running import write_report

    settings = Settings.from_environment()
    place = workspace_of(workspace, settings)
    ending = output.suffix.removeprefix(".") if output else ""
    with open_store(settings.store_url) as store:
        print(write_report(study, output, format_name or ending or "html", place, store, settings))


def _print_left_out(prepared: Prepared) -> None:
    for one in prepared.left_out:
        print(f"left out: {one.model}: {one.why}")
