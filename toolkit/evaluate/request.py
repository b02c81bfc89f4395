"""What an evaluation is asked to do: `slm evaluate` and the functions of `toolkit` alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from toolkit.request import Count, CountOrZero, Flag, Option, Request, Text

# As in the tables of most papers on quantization of smaller models, and of `make bench`.
WINDOW_TOKENS = 512


class _ModelRequest(Request):
    """What all evaluations have in common."""

    dtype: Annotated[
        Literal["fp32", "bf16"], Option("Of a model that is no artifact, and of the source.", group="Engine")
    ] = "fp32"


class TextRequest(_ModelRequest):
    """Perplexity over a text, and divergence from the source."""

    text: Annotated[
        Path | None, Option("Perplexity and agreement with the source over this text.", group="Text")
    ] = None
    window: Annotated[
        Count | None,
        Option(f"Tokens of a window. Default: {WINDOW_TOKENS}, or the context if less.", group="Text"),
    ] = None
    stride: Annotated[
        Count | None, Option("Tokens from one window to the next. Default: half a window.", group="Text")
    ] = None
    windows: Annotated[Count | None, Option("Take the first N windows only.", group="Text")] = None
    source: Annotated[
        Text | None,
        Option(
            "The model that the artifact was made from. Default: the one that its manifest names.",
            group="Text",
        ),
    ] = None
    compare: Annotated[Flag, Option("Compare an artifact with its source.", group="Text")] = True


class PlacedRequest(_ModelRequest):
    """What questions to a model have in common: where they are answered."""

    device: Annotated[
        Text | None,
        Option(
            "Where an artifact runs: local (the default), or a serial.",
            flags=("--device", "-d"),
            recipe="axis",
            recipe_help="Who answers tasks and needles: local, virtual, virtual:N, phones, or a serial.",
            group="Device",
        ),
    ] = None
    threads: Annotated[
        CountOrZero,
        Option("Engine threads; 0: the runner's choice.", flags=("--threads", "-t"), group="Engine"),
    ] = 0


class TaskRequest(PlacedRequest):
    """Scores of the harness's tasks, or of one's own."""

    tasks: Annotated[
        Text | None,
        Option(
            "Tasks of the harness or YAML files, with commas; or a preset: survey, in-context, quick.",
            group="Tasks",
        ),
    ] = None
    shots: Annotated[
        CountOrZero | None,
        Option("Examples in the prompt. Default: what each task says, else 0.", recipe="axis", group="Tasks"),
    ] = None
    limit: Annotated[Count | None, Option("Items of each task. Default: all.", group="Tasks")] = None
    include_path: Annotated[
        Path | None,
        # What the folder holds is in a step's key by itself.
        Option("A folder with YAML files of tasks of one's own.", key=False, group="Tasks"),
    ] = None
    sample_on_device: Annotated[
        Count | None,
        Option(
            "Ask all questions on this machine, and N of them on --device as well, to compare.", group="Tasks"
        ),
    ] = None
    truncate: Annotated[
        Flag, Option("Cut prompts that are longer than the context at their beginning.", group="Tasks")
    ] = False
    seed: Annotated[CountOrZero, Option("Of the choice of examples, and of the needles.", group="Tasks")] = (
        1234
    )


class NeedleRequest(PlacedRequest):
    """Facts hidden in long texts."""

    lengths: Annotated[
        Text | None,
        Option(
            "Of the texts with a needle, in tokens, with commas. Default: up to the context.", group="Needles"
        ),
    ] = None
    depths: Annotated[Text, Option("Where the needle stands, in percent.", group="Needles")] = (
        "0,25,50,75,100"
    )
    trials: Annotated[Count, Option("Needles of each kind in each cell of the grid.", group="Needles")] = 2
    seed: Annotated[CountOrZero, Option("Of the needles.", group="Tasks")] = 1234


class EvaluateRequest(TextRequest, TaskRequest, NeedleRequest):
    """All that `slm evaluate` takes."""
