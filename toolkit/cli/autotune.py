"""`slm autotune`: search for a quantization within limits on size, loss and speed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.autotune.request import AutotuneRequest
from toolkit.cli.recipe_options import ExecutorFlag, JobsFlag, WorkspaceFlag, executor_of, workspace_of
from toolkit.cli.request_options import takes
from toolkit.errors import UsageError

if TYPE_CHECKING:
    from toolkit.autotune.search import Measured
    from toolkit.autotune.tuning import Tuned


@takes(AutotuneRequest)
def autotune(
    request: AutotuneRequest,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder for the artifact that --pick names.", rich_help_panel="Output"
        ),
    ] = None,
    pick: Annotated[
        str | None,
        typer.Option(
            "--pick",
            help="best (least loss, the default), smallest, fastest, or a number.",
            rich_help_panel="Output",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing artifact.", rich_help_panel="Output")
    ] = False,
    executor: ExecutorFlag = "local",
    jobs: JobsFlag = None,
    workspace: WorkspaceFlag = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel="Output")] = False,
) -> None:
    """Search for a quantization that is small, close, fast enough.

    Schemes, groups, algorithms, presets and wider parts are searched.

    Sizes are estimated first, so most candidates are never built. The rest is built and measured in rounds,
    each chosen by what came of those before. What was built is kept: run it again after an interruption, or
    with other limits. Printed is the front: what nothing else beats in size, loss and speed, as measured on
    --device; without one, the bytes of weights that a token reads stand for speed.

    \b
    Examples:
      slm autotune SmolLM2-135M-Instruct --max-mb 92
      slm autotune SmolLM2-135M-Instruct --max-mb 100 --max-loss 0.05 -o artifacts/smollm2
      slm autotune Qwen/Qwen3-0.6B --max-loss 0.1 --device R5CT10ABCDE --min-speed 20 --pick smallest -o qwen3
    """  # noqa: D301
    from toolkit.artifact import check_target
    from toolkit.autotune.picking import check_pick, picked, written
    from toolkit.autotune.tuning import tune
    from toolkit.cli.recipe_text import Narrator
    from toolkit.export.quiet import hush_libraries
    from toolkit.settings import Settings

    hush_libraries()
    settings = Settings.from_environment()
    # Before an hour of work.
    if pick is not None:
        if output is None:
            raise UsageError("--pick needs a folder for the artifact", next_step="Pass -o FOLDER.")
        check_pick(pick, with_speed=request.device is not None)
    if output is not None:
        check_target(output, overwrite=force)
    place = workspace_of(workspace, settings)
    narrator = Narrator(place)
    try:
        found = tune(request, settings, place, executor_of(executor, jobs, place, settings), narrator)
    except KeyboardInterrupt:
        narrator.interrupted()
        raise
    print(json.dumps(_plain(found), indent=2)) if as_json else _print(found)
    if output is not None:
        chosen = picked(found.front, pick or "best")
        made = written(chosen, output, overwrite=force)
        if not as_json:
            print(f"{chosen.candidate.label}: {made.path}")
    elif not found.front:
        picked(found.front, "best")


def _print(found: Tuned) -> None:
    from toolkit.cli.tables import Column, line_width, print_folded, print_table

    width = line_width()
    print_folded(
        f"{found.considered} candidates, {found.small_enough} of them small enough, "
        f"{len(found.measured)} built and measured, {len(found.front)} on the front",
        width=width,
        indent="  ",
    )
    numbers = {id(one): str(number) for number, one in enumerate(found.front, start=1)}
    columns = [
        Column("", numeric=True),
        Column("quantization", least=20),
        Column("MB", numeric=True),
        Column("mean KL", numeric=True),
        Column("perplexity", numeric=True),
        Column("MB/token", numeric=True),
    ]
    timed = any(one.tokens_per_second is not None for one in found.measured)
    if timed:
        columns.append(Column("tok/s", numeric=True))
    rows = [
        (
            numbers.get(id(one), ""),
            one.candidate.label,
            f"{one.size_bytes / 1e6:.1f}",
            f"{one.loss:.4f}",
            f"{one.perplexity_ratio - 1:+.2%}",
            f"{one.candidate.decode_bytes / 1e6:.1f}",
            "-" if one.tokens_per_second is None else f"{one.tokens_per_second:.1f}",
        )[: len(columns)]
        for one in found.measured
    ]
    print_table(columns, rows, width=width)
    if not timed:
        print_folded(
            "Speed was not measured (--device does); MB/token, estimated, are the weights that a generated "
            "token reads: where memory is the limit, fewer are faster.",
            width=width,
            indent="  ",
        )
    for label, error in found.failed:
        print_folded(f"failed: {label}: {error}", width=width, indent="  ")


def _plain(found: Tuned) -> dict[str, Any]:
    front = {id(one) for one in found.front}
    return {
        "considered": found.considered,
        "small_enough": found.small_enough,
        "measured": [{**_point(one), "on_front": id(one) in front} for one in found.measured],
        "failed": [{"step": label, "error": error} for label, error in found.failed],
    }


def _point(one: Measured) -> dict[str, Any]:
    asked = one.candidate.request
    names = ("backend", "quant", "group_size", "algorithm", "symmetric", "lm_head", "eight_bit", "context")
    return {
        "quantization": one.candidate.label,
        "request": {name: getattr(asked, name) for name in names},
        "artifact": str(one.artifact),
        "size_bytes": one.size_bytes,
        "estimated_bytes": one.candidate.size_bytes,
        "mean_kl": one.loss,
        "perplexity_ratio": one.perplexity_ratio,
        "estimated_decode_bytes": one.candidate.decode_bytes,
        "decode_tokens_per_second": one.tokens_per_second,
    }
