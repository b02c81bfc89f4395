"""`slm estimate`: what a model would take, before anything is converted."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.request_options import takes
from toolkit.export.request import ConvertRequest

if TYPE_CHECKING:
    from toolkit.estimate.estimate import Prediction
    from toolkit.export.estimated_conversion import EstimatedConversion
    from toolkit.settings import Settings


@takes(ConvertRequest)
def estimate(
    request: ConvertRequest,
    tokens: Annotated[
        int | None,
        typer.Option(
            "--tokens", min=1, help="Tokens in the cache; default: the context.", rich_help_panel="Work"
        ),
    ] = None,
    prompt_tokens: Annotated[
        int | None,
        typer.Option(
            "--prompt-tokens",
            min=1,
            help="Of the prefill; default: 512, or the tokens.",
            rich_help_panel="Work",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            "-d",
            help="Predict the most tokens per second on this device.",
            rich_help_panel="Device",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel="Output")] = False,
) -> None:
    """Estimate a model's size, memory and arithmetic. On an engine; no weights are read or fetched.

    Options are those of `slm convert`. MODEL may also be a name of the catalogue.

    \b
    Examples:
      slm estimate Qwen2-0.5B --quant 8da4w --context 2048
      slm estimate random:llama-tiny --quant 8da8w --json
      slm estimate OpenELM-270M --tokens 640 --prompt-tokens 512
      slm estimate SmolLM-135M --quant 8da4w --device local
    """  # noqa: D301
    from toolkit.cli.tables import line_width, print_facts
    from toolkit.cli.text_output import write_text
    from toolkit.export.estimated_conversion import estimate_conversion
    from toolkit.export.quiet import hush_libraries
    from toolkit.settings import Settings

    hush_libraries()
    settings = Settings.from_environment()
    found = estimate_conversion(request, settings, text=tokens, prompt_tokens=prompt_tokens)
    roof, measured = (None, None) if device is None else _predicted(found, device, settings)
    if as_json:
        predicted = None
        if roof is not None and measured is not None:
            predicted = asdict(roof) | {"measured": measured.isoformat()}
        write_text(json.dumps(_plain(found) | {"predicted": predicted}, indent=2) + "\n")
        return
    print_estimate(found)
    if roof is not None:
        speeds = (
            f"{roof.prefill_tokens_per_second:.1f} tok/s prefill, "
            f"{roof.decode_tokens_per_second:.1f} tok/s decode on {device}, "
            f"measured {measured:%Y-%m-%d %H:%M} UTC"
        )
        print_facts([("predicted, at most", speeds)], width=line_width())


def print_estimate(found: EstimatedConversion) -> None:
    """Print what it is of, and the figures."""
    from toolkit.cli.tables import line_width, print_facts, print_folded

    width = line_width()
    basis = "" if found.basis == "graph" else " (from the catalogue's facts: it cannot be traced)"
    title = f"{found.name}, {found.quant} on {found.backend}, context {found.context}{basis}"
    print_folded(title, width=width)
    print_facts(_facts(found), width=width)


def _predicted(found: EstimatedConversion, device: str, settings: Settings) -> tuple[Prediction, datetime]:
    """The roof over an estimate, and when the device's own roofs were measured: now where they never were."""
    from toolkit.analysis.roofline import products_of
    from toolkit.devices.discovery import open_device
    from toolkit.estimate.estimate import predict
    from toolkit.profiling.session.measuring import known_roofline

    roof = known_roofline(open_device(device, settings), settings)
    products = products_of(found.scheme)
    assert products is not None, "a conversion takes the toolkit's own schemes"
    predicted = predict(
        found.estimate,
        read_bytes_per_second=max(roof.points["read_bytes_per_second"]),
        ops_per_second=max(roof.points[f"{products}_ops_per_second"]),
    )
    return predicted, datetime.fromtimestamp(roof.created_unix_ns / 1e9, UTC)


def _plain(found: EstimatedConversion) -> dict[str, Any]:
    fields = asdict(found)
    figures = fields["estimate"]
    one = found.estimate
    figures["kv_cache_bytes"] = one.kv_cache_bytes
    figures["fixed_states_bytes"] = one.fixed_states_bytes
    figures["decode_bytes"] = one.decode_bytes
    figures["memory"]["peak_bytes"] = one.memory.peak_bytes
    return fields


def _facts(found: EstimatedConversion) -> list[tuple[str, str]]:
    one = found.estimate
    memory = one.memory
    active = (
        f", {one.active_parameters / 1e6:.1f} M active for a token"
        if one.active_parameters < one.unique_parameters
        else ""
    )
    tokenizer = "" if one.tokenizer_known else ", tokenizer guessed from the vocabulary"
    return [
        (
            "parameters",
            f"{one.unique_parameters / 1e6:.1f} M unique, {one.stored_parameters / 1e6:.1f} M stored{active}",
        ),
        ("artifact", f"{_mb(one.artifact_bytes)}{tokenizer}"),
        ("KV cache", f"{_mb(one.kv_cache_bytes)} after {one.text} tokens"),
        ("other states", _mb(one.fixed_states_bytes)),
        ("peak memory", _mb(memory.peak_bytes)),
        ("  weights, mapped", _mb(memory.mapped_bytes)),
        ("  weights, packed", _mb(memory.packed_bytes)),
        ("  states", _mb(memory.states_bytes)),
        ("  compute", _mb(memory.compute_bytes)),
        ("  runner and engine", _mb(memory.process_bytes)),
        ("  loading", _mb(memory.loading_bytes)),
        ("prefill", f"{one.prefill_flops / 1e9:.2f} GFLOP for {one.prompt_tokens} tokens"),
        (
            "decode step",
            f"reads {_mb(one.decode_bytes)}: weights {_mb(one.decode_weights_bytes)}, "
            f"states {_mb(one.decode_states_bytes)}",
        ),
    ]


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
