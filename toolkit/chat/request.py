"""How text is generated: `slm generate` and `toolkit.generate` alike."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from toolkit.app.driver import Runner
from toolkit.request import Count, CountOrZero, Option, Request


class GenerateRequest(Request):
    """How to generate; temperature 0 is greedy, ``top_k`` 0 keeps all tokens."""

    max_tokens: Annotated[
        Count, Option("Most tokens to generate.", flags=("--max-tokens", "-n"), group="Answer")
    ] = 256
    temperature: Annotated[float, Field(ge=0, le=100), Option("0 is greedy.", group="Answer")] = 0.0
    top_k: Annotated[CountOrZero, Option("Keep the K likeliest tokens; 0 keeps all.", group="Answer")] = 0
    top_p: Annotated[
        float, Field(ge=0.01, le=1), Option("Keep tokens up to this probability.", group="Answer")
    ] = 1.0
    seed: Annotated[CountOrZero, Option("Of the random choice.", group="Answer")] = 0
    stop: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        Option(
            "A text that ends the answer and is left out; may be repeated.", written=list[str], group="Answer"
        ),
    ] = ()
    runner: Annotated[
        Runner,
        Option("What the engine runs in: adb's shell, or the app of `slm app install`.", group="Device"),
    ] = "shell"
    threads: Annotated[
        CountOrZero,
        Option("Engine threads; 0: the runner's choice.", flags=("--threads", "-t"), group="Engine"),
    ] = 0
