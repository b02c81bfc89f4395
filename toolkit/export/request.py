"""What a conversion is asked to do: `slm convert`, a recipe's `convert:` and `toolkit.convert` alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from toolkit.compress.presets import PRESET_NAMES
from toolkit.engines import DEFAULT_ENGINE, EngineName
from toolkit.request import Count, CountOrZero, Flag, Option, Request, Text

# The smallest that keeps quality: docs/quantization.md has the figures.
DEFAULT_QUANT = "mobile-4bit"


class ConvertRequest(Request):
    """One conversion; None stands for an option that is not given."""

    model: Annotated[
        Text,
        Option(
            "Hub id, folder, .gguf file, or random:NAME | random:config.json.",
            argument=True,
            recipe="elsewhere",
            # The step's key and the manifest hold what the model was when it was read.
            key=False,
            recorded=False,
        ),
    ]
    backend: Annotated[
        EngineName,
        Option(
            "Engine to convert for, as in `slm runtime engines`.",
            recipe="axis",
            recipe_help="Engines to convert for.",
            label=str,
            always_shown=True,
            group="Engine",
        ),
    ] = DEFAULT_ENGINE
    quant: Annotated[
        Text,
        Option(
            f"A preset ({PRESET_NAMES}), a scheme (fp32 fp16 8w 8da8w 4w 8da4w), or 'source' (GGUF only).",
            recipe="axis",
            recipe_help=f"Schemes, quantization presets ({PRESET_NAMES}), or source.",
            label=str,
            always_shown=True,
            group="Quantization",
        ),
    ] = DEFAULT_QUANT
    group_size: Annotated[
        CountOrZero | None,
        Option(
            "16 to 256, 0 for one scale per output channel. Default: 32.",
            recipe="axis",
            recipe_help="16 to 256, 0 for one scale per output channel, null for the default.",
            label=lambda size: f"g{size}" if size else "channel",
            group="Quantization",
        ),
    ] = None
    algorithm: Annotated[
        Text | None,
        Option(
            "rtn, hqq, or gptq (calibrated). Default: hqq.",
            recipe="axis",
            recipe_help="rtn, hqq or gptq; null for the default.",
            label=str,
            group="Quantization",
        ),
    ] = None
    calibration: Annotated[
        Path | None,
        Option(
            "Text file that gptq calibrates with. Default: text that the model writes.", group="Quantization"
        ),
    ] = None
    symmetric: Annotated[
        Flag | None,
        Option(
            "Asymmetric stores a zero point per group.",
            flags=("--symmetric/--asymmetric",),
            recipe="axis",
            recipe_help="false stores a zero point per group.",
            label=lambda symmetric: "symmetric" if symmetric else "asymmetric",
            group="Quantization",
        ),
    ] = None
    embedding: Annotated[
        Text | None, Option("Scheme of the token embedding.", recipe="axis", group="Quantization")
    ] = None
    lm_head: Annotated[
        Text | None, Option("Scheme of the output projection.", recipe="axis", group="Quantization")
    ] = None
    eight_bit: Annotated[
        Text | None,
        Option(
            "Parts in 8 bits, with commas: value, down (feed-forwards' ways back), last_down.",
            recipe="axis",
            recipe_help="Parts in 8 bits, with commas: value, down, last_down; null for those of a preset.",
            label="8bit:{}".format,
            group="Quantization",
        ),
    ] = None
    context: Annotated[
        Count | None,
        Option(
            "Tokens of prompt and answer. Default: 4096 or the model's limit.",
            recipe="axis",
            recipe_help="Tokens of prompt and answer together.",
            label="ctx{}".format,
            group="Engine",
        ),
    ] = None
    opset: Annotated[
        Count | None, Option("Operator set of the model's format, where it has any.", group="Engine")
    ] = None
    logits: Annotated[Literal["last", "all"], Option("'all' is for evaluation.", group="Engine")] = "last"
    revision: Annotated[
        Text | None, Option("Hub revision.", recipe="elsewhere", key=False, recorded=False, group="Source")
    ] = None
    offline: Annotated[
        Flag, Option("Use caches only.", flags=("--offline",), key=False, recorded=False, group="Source")
    ] = False
    trust_remote_code: Annotated[
        Flag,
        Option(
            "Allow the model's own Python code and pickle weights.",
            flags=("--trust-remote-code",),
            key=False,
            recorded=False,
            group="Source",
        ),
    ] = False
    parity_check: Annotated[
        Flag, Option("Compare with transformers, fail when they disagree.", group="Check")
    ] = True
