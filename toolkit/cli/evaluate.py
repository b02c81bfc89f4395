"""`slm evaluate`: what a model still knows after conversion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from toolkit.cli.request_options import takes
from toolkit.evaluate.request import TextRequest

if TYPE_CHECKING:
    from toolkit.evaluate.intervals import Estimate
    from toolkit.evaluate.text import TextFigures


@takes(TextRequest)
def evaluate(
    request: TextRequest,
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Measure what a model still knows after conversion.

    `--text` gives the perplexity of a text in sliding windows, and how far an artifact's predictions are from
    those of the model that it was made from. docs/evaluation.md says how each figure is defined.

    \b
    Examples:
      slm evaluate artifacts/smollm2 --text book.txt
      slm evaluate artifacts/smollm2 --text book.txt --window 1024 --stride 512 --windows 20
      slm evaluate artifacts/model --text book.txt --source model.gguf --json
      slm evaluate HuggingFaceTB/SmolLM2-135M-Instruct --text book.txt --dtype bf16
    """  # noqa: D301
    from toolkit import api

    figures = api.evaluate_text(request)
    if as_json:
        print(figures.model_dump_json(indent=2))
        return
    _print_text(figures)


def _print_text(figures: TextFigures) -> None:
    print(
        f"{figures.target}: {figures.text}, {figures.scored_tokens} tokens in {figures.windows} windows of "
        f"{figures.window_tokens}, one every {figures.stride}"
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
    print(f"  {name}: {figure.value:{form}}{between}")
