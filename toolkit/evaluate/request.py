"""What an evaluation is asked to do: `slm evaluate` and `toolkit.evaluate_text` alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from toolkit.request import Count, Flag, Option, Request, Text

# As in the tables of most quantization papers' smaller models and of `make bench`.
WINDOW_TOKENS = 512

TARGET = Option("An artifact's folder, or a model: hub id, folder, .gguf file, random:NAME.", argument=True)
SOURCE = Option(
    "The model that the artifact was made from. Default: the one that its manifest names.",
    flags=("--source",),
)


class TextRequest(Request):
    """Perplexity over a text, and divergence from the source."""

    target: Annotated[Text, TARGET]
    text: Annotated[Path | None, Option("Perplexity and agreement with the source over this text.")] = None
    window: Annotated[
        Count | None, Option(f"Tokens of a window. Default: {WINDOW_TOKENS}, or the context if less.")
    ] = None
    stride: Annotated[Count | None, Option("Tokens from one window to the next. Default: half a window.")] = (
        None
    )
    windows: Annotated[Count | None, Option("Take the first N windows only.")] = None
    source: Annotated[Text | None, SOURCE] = None
    compare: Annotated[Flag, Option("Compare an artifact with its source.")] = True
    dtype: Annotated[
        Literal["fp32", "bf16"], Option("Of a model that is no artifact, and of the source.")
    ] = "fp32"
