"""What `slm autotune` is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from toolkit.engines import DEFAULT_ENGINE, EngineName
from toolkit.request import Count, Option, Request, Text

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class AutotuneRequest(Request):
    """A search for a quantization of one model."""

    model: Annotated[Text, Option("Hub id, folder or .gguf file.", argument=True)]
    backend: Annotated[
        EngineName, Option("Engine to convert for, as in `slm runtime engines`.", group="Engine")
    ] = DEFAULT_ENGINE
    context: Annotated[
        Count | None,
        Option("Tokens of prompt and answer. Default: 4096 or the model's limit.", group="Engine"),
    ] = None
    max_mb: Annotated[
        Positive | None, Option("The artifact's size at most, in millions of bytes.", group="Limits")
    ] = None
    max_loss: Annotated[
        Positive | None,
        Option("Divergence from the source at most: mean KL over the text, nats per token.", group="Limits"),
    ] = None
    min_speed: Annotated[
        Positive | None,
        Option("Tokens decoded per second at least, as measured on --device.", group="Limits"),
    ] = None
    device: Annotated[
        Text | None,
        Option(
            "Measure speed there: local, virtual, or a serial. Default: not at all.",
            flags=("--device", "-d"),
            group="Device",
        ),
    ] = None
    text: Annotated[
        Path | None,
        Option("Text that the loss is taken over. Default: one that the toolkit brings.", group="Search"),
    ] = None
    windows: Annotated[Count, Option("Windows of it, as slm evaluate cuts them.", group="Search")] = 8
    tries: Annotated[Count, Option("Candidates to convert and to measure at most.", group="Search")] = 8
