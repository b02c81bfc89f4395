"""`slm evaluate`: what a model still knows after conversion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from toolkit.cli.request_options import takes
from toolkit.cli.tables import line_width, print_folded
from toolkit.errors import UsageError
from toolkit.evaluate.request import EvaluateRequest, NeedleRequest, TaskRequest, TextRequest
from toolkit.request import Request

if TYPE_CHECKING:
    from toolkit.evaluate.intervals import Estimate
    from toolkit.evaluate.needle.needle_scores import NeedleFigures
    from toolkit.evaluate.tasks.task_scores import TaskFigures
    from toolkit.evaluate.text import TextFigures

_Request = TypeVar("_Request", bound=Request)


@takes(EvaluateRequest)
def evaluate(
    request: EvaluateRequest,
    target: Annotated[
        str | None,
        typer.Argument(
            help="An artifact's folder, or a model: hub id, folder, .gguf file, random:NAME.",
            metavar="TARGET",
            show_default=False,
        ),
    ] = None,
    needle: Annotated[
        bool,
        typer.Option(
            "--needle", help="Facts hidden in long texts, over length and depth.", rich_help_panel="Needles"
        ),
    ] = False,
    fetch_only: Annotated[
        bool,
        typer.Option(
            "--fetch-only", help="Bring the tasks' data onto this machine, and end.", rich_help_panel="Tasks"
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel="Output")] = False,
) -> None:
    """Measure what a model still knows after conversion.

    `--text` gives the perplexity of a text in sliding windows, and how far an artifact's predictions are from
    those of the model that it was made from. `--tasks` gives scores of EleutherAI's lm-evaluation-harness; an
    artifact is scored by the runner, on this machine or on a phone, and what was answered before a kill or a
    cut link is not asked again. `--needle` hides facts in long texts and asks for them.
    All figures are stored: see slm results scores. docs/evaluation.md says how each is defined.

    \b
    Examples:
      slm evaluate artifacts/smollm2 --text book.txt
      slm evaluate artifacts/smollm2 --text book.txt --window 1024 --stride 512 --windows 20
      slm evaluate artifacts/model --text book.txt --source model.gguf --json
      slm evaluate artifacts/smollm2 --tasks arc_easy,hellaswag --shots 5 --limit 200
      slm evaluate artifacts/smollm2 --tasks quick --device R5CT1234567
      slm evaluate artifacts/smollm2 --tasks survey --device R5CT1234567 --sample-on-device 100
      slm evaluate HuggingFaceTB/SmolLM2-135M-Instruct --tasks my_task --include-path tasks
      slm evaluate artifacts/smollm2 --needle --lengths 512,1024,2048
      slm evaluate --tasks survey --fetch-only
    """  # noqa: D301
    from toolkit import api

    if fetch_only:
        tasks, folder = api.fetch_tasks(_part(request, TaskRequest))
        print(f"{len(tasks)} tasks ({', '.join(tasks[:5])}{', ...' if len(tasks) > 5 else ''}) in {folder}")
        return
    asked = [request.text is not None, request.tasks is not None, needle].count(True)
    if target is None or asked != 1:
        raise UsageError(
            "nothing to evaluate" if target is None else "pass one of --text, --tasks and --needle",
            next_step="slm evaluate TARGET --text FILE, --tasks NAMES, or --needle.",
        )
    if request.text is not None:
        figures = api.evaluate_text(target, request=_part(request, TextRequest))
        print(figures.model_dump_json(indent=2)) if as_json else print_text(figures)
        return
    if needle:
        found = api.evaluate_needle(target, _part(request, NeedleRequest))
        print(found.model_dump_json(indent=2)) if as_json else _print_needle(found)
        return
    scored = api.evaluate_tasks(target, request=_part(request, TaskRequest))
    print(scored.model_dump_json(indent=2, exclude={"items"})) if as_json else _print_tasks(scored)


def _part(request: EvaluateRequest, kind: type[_Request]) -> _Request:
    """The fields of one kind of evaluation; those of the other kinds must be as nobody gave them.

    Raises:
        UsageError: an option that means nothing here.
    """
    for field in type(request).options():
        given = getattr(request, field.name)
        if field.name not in kind.model_fields and given != field.default:
            flag = (field.option.flags or (f"--{field.name.replace('_', '-')}",))[0]
            others: dict[str, type[Request]] = {
                "--text": TextRequest,
                "--tasks": TaskRequest,
                "--needle": NeedleRequest,
            }
            owners = [name for name, one in others.items() if field.name in one.model_fields]
            raise UsageError(
                f"{flag} means nothing here",
                next_step=f"It belongs to {' and '.join(owners)}: leave it out.",
            )
    return kind.of(**{name: getattr(request, name) for name in kind.model_fields})


def print_text(figures: TextFigures) -> None:
    """Print figures over a text, a line for each."""
    print_folded(
        f"{figures.target}: {figures.text}, {figures.scored_tokens} tokens in {figures.windows} windows of "
        f"{figures.window_tokens}, one every {figures.stride}",
        width=line_width(),
        indent="    ",
    )
    _print_row("perplexity", figures.perplexity, ".3f")
    _print_row(f"perplexity of {figures.source}", figures.source_perplexity, ".3f")
    _print_row("ratio", figures.perplexity_ratio, ".4f")
    _print_row("mean KL from the source, nats", figures.mean_kl, ".4f")
    _print_row("top-1 agreement", figures.top1_agreement, ".2%")
    _print_row("top-5 agreement", figures.top5_agreement, ".2%")


def _print_row(name: str, figure: Estimate | None, form: str) -> None:
    if figure is None:
        return
    between = (
        f"  (95 %: {figure.low:{form}} to {figure.high:{form}})"
        if figure.low is not None and figure.high is not None
        else "  (one window: no interval)"
    )
    print_folded(f"  {name}: {figure.value:{form}}{between}", width=line_width(), indent="      ")


def _print_needle(figures: NeedleFigures) -> None:
    from toolkit.evaluate.needle.haystack import KINDS
    from toolkit.evaluate.needle.needle_scores import heat_map

    heading = f"{figures.target} on {figures.where}: needles found; depths down, lengths in tokens across"
    print_folded(heading, width=line_width(), indent="    ")
    for kind in KINDS:
        print(f"\n{kind}: {figures.means[kind]:.1%}\n{heat_map(figures.scores, kind)}")
    print(f"\nmean {figures.mean:.1%}")
    if figures.middle is not None and figures.outside is not None:
        print(f"in the middle (20 to 70 %) {figures.middle:.1%}, elsewhere {figures.outside:.1%}")


def _print_tasks(figures: TaskFigures) -> None:
    known = figures.asked - figures.answered
    print_folded(
        f"{figures.target} on {figures.where}: {figures.asked} questions, {known} answered before; "
        f"{figures.seconds:.0f} s",
        width=line_width(),
        indent="    ",
    )
    for score in figures.scores:
        error = f" ± {score.stderr:.4f}" if score.stderr is not None else ""
        kept = "" if score.filter == "none" else f" ({score.filter})"
        figure = f"{score.metric}{kept} {score.value:.4f}{error}"
        said = f"  {score.task}, {score.shots} shots: {figure}, n = {score.n}"
        print_folded(said, width=line_width(), indent="      ")
    for metric in figures.left_out:
        print_folded(f"  left out, it is no number: {metric}", width=line_width(), indent="      ")
    if figures.sampled is not None:
        print_folded(f"  {figures.sampled}", width=line_width(), indent="      ")
    for name, value in figures.means.items():
        print(f"  {name}: {value:.4f}")
