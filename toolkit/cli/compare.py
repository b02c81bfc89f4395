"""`slm compare`: two artifacts by turns on one device, and which is better in what."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from toolkit.artifact import Artifact
from toolkit.cli.request_options import takes
from toolkit.errors import ConditionsDiffer, ToolkitError, UsageError
from toolkit.profiling.request import ProfileRequest, check_context
from toolkit.progress import remark, say
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.analysis.two_artifacts import FigureOfTwo, ScoresOfTwo
    from toolkit.store.rows import StoredRun


@takes(ProfileRequest)
def compare(
    left: Path = typer.Argument(help="Artifact folder, made by slm convert.", metavar="A"),
    right: Path = typer.Argument(help="The other one.", metavar="B"),
    device: str | None = typer.Option(
        None,
        "--device",
        "-d",
        help="Serial, or local; the attached phone when there is just one.",
        rich_help_panel="Device",
    ),
    rounds: int = typer.Option(
        3, "--rounds", min=2, help="Runs of each, one after the other by turns.", rich_help_panel="Work"
    ),
    *,
    request: ProfileRequest,
    as_json: bool = typer.Option(False, "--json", help="Print JSON.", rich_help_panel="Output"),
) -> None:
    """Measure two artifacts by turns, and say which is better.

    Each round runs both, so that a device that grows warm or slow does so for both. A difference counts only
    when its interval leaves out zero and it exceeds the noise: how far apart equal runs came out. Quality is
    what the conversions found against the original model, and stored scores on the same items, judged by a
    paired test over them. All runs are stored; when one fails, those before it are compared, and the command
    ends with the failure.

    \b
    Examples:
      slm compare artifacts/my-model-8da4w artifacts/my-model-8w
      slm compare a b --device R5CT1234567 --rounds 5 --prompt-tokens 128 --threads 4
    """  # noqa: D301
    from toolkit.analysis.two_artifacts import by_hand, compare_scores, compare_two
    from toolkit.devices.selection import chosen_serial
    from toolkit.store import open_store

    settings = Settings.from_environment()
    both = (Artifact.load(left), Artifact.load(right))
    if both[0].manifest.sha256 == both[1].manifest.sha256:
        raise UsageError(
            "both are the same artifact", subject=str(right), next_step="slm profile measures a single one."
        )
    for one in both:
        check_context(one, request)
    serial = chosen_serial(device, settings)
    runs, failure = _by_turns(both, request, rounds, serial, settings)
    run_ids = [run.run.id for run in runs]
    if failure is not None and len({run.run.artifact_sha256 for run in runs}) < len(both):
        # Nothing to compare yet, and nothing that was measured is lost.
        if runs:
            remark(f"stored; once the other one has a run: {by_hand([*run_ids, 'ITS_RUN'])}")
        raise failure
    with open_store(settings.store_url) as store:
        try:
            figures = compare_two(store, both[0].manifest.sha256, both[1].manifest.sha256, run_ids)
        except ConditionsDiffer as differ:
            if failure is None:
                raise
            say(str(differ))
            raise failure from None
        scores = compare_scores(store, both[0].manifest.sha256, both[1].manifest.sha256)
    rows = [_measured(one) for one in figures] + _of_artifacts(*both) + [_score(one) for one in scores]
    if as_json:
        print(json.dumps({"a": both[0].name, "b": both[1].name, "runs": run_ids, "figures": rows}, indent=2))
    else:
        _print(both, rows)
    if failure is not None:
        remark(f"{len(runs)} of {rounds * len(both)} runs are compared: the next one failed")
        raise failure


def _by_turns(
    both: tuple[Artifact, Artifact], request: ProfileRequest, rounds: int, serial: str, settings: Settings
) -> tuple[list[StoredRun], ToolkitError | None]:
    """The runs up to the first one that fails, and its error."""
    from toolkit import api

    runs: list[StoredRun] = []
    for number in range(rounds):
        # The first place is not always the same one's.
        for one in both if number % 2 == 0 else both[::-1]:
            remark(f"round {number + 1} of {rounds}: {one.name}")
            try:
                runs += api.profile(one, request, device=serial, settings=settings)
            except ToolkitError as error:
                return runs, error
    return runs, None


def _measured(one: FigureOfTwo) -> dict[str, Any]:
    noise = one.change.noise
    return {
        "figure": one.figure.name.removesuffix("_tokens_per_second").removesuffix("_ns"),
        "unit": one.figure.unit,
        "a": one.left.median / one.figure.scale,
        "b": one.right.median / one.figure.scale,
        "change": one.change.relative,
        "interval": [one.change.interval.low, one.change.interval.high],
        "noise": None if noise is None else noise.relative,
        "verdict": one.change.verdict,
        "power": None if one.change.power is None else asdict(one.change.power),
    }


def _of_artifacts(left: Artifact, right: Artifact) -> list[dict[str, Any]]:
    """What no run measures: size, and what the conversions' checks found."""
    sizes = [one.manifest.size_bytes / 1e6 for one in (left, right)]
    rows = [{"figure": "size", "unit": "MB", "a": sizes[0], "b": sizes[1], "change": sizes[1] / sizes[0] - 1}]
    checks = [one.manifest.parity for one in (left, right)]
    # What random weights predict says nothing about quality.
    known = [
        check if one.manifest.source.kind != "random" else None
        for one, check in zip((left, right), checks, strict=True)
    ]
    for name, attribute, unit in (("same token", "top1_agreement", ""), ("mean KL", "mean_kl", "nats")):
        values = [None if check is None else getattr(check, attribute) for check in known]
        if any(value is not None for value in values):
            rows.append({"figure": name, "unit": unit, "a": values[0], "b": values[1]})
    return rows


def _score(one: ScoresOfTwo) -> dict[str, Any]:
    from toolkit.analysis.scores import score_name

    shots = f", {one.left.shots} shots" if one.left.shots else ""
    row: dict[str, Any] = {
        "figure": f"{one.left.task} {score_name(one.left)}{shots}{', prompts cut' if one.truncated else ''}",
        "unit": "",
        "a": one.left.value,
        "b": one.right.value,
    }
    if one.paired is not None:
        row |= {"items": one.paired.items, "p_value": one.paired.p_value}
        row |= {"difference": one.paired.difference}
        row |= {"difference_interval": [one.paired.interval.low, one.paired.interval.high]}
    return row | ({} if one.verdict is None else {"verdict": one.verdict})


def _print(both: tuple[Artifact, Artifact], rows: list[dict[str, Any]]) -> None:
    from toolkit.analysis.verdicts import Power
    from toolkit.cli.results.comparison_table import power_words
    from toolkit.cli.tables import Column, line_width, print_folded, print_table

    width = line_width()
    for letter, one in zip("AB", both, strict=True):
        print_folded(f"{letter}  {one.name} ({one.manifest.sha256[:12]})", width=width, indent="   ")
    columns = (
        Column("figure", least=16),
        Column("A", numeric=True),
        Column("B", numeric=True),
        Column("unit", rank=1),
        Column("B vs A", numeric=True),
        Column("95 % interval", rank=2),
        Column("noise", rank=3),
        Column("B is"),
    )
    shown = []
    for row in rows:
        noise = row.get("noise")
        change, interval = _change(row)
        shown.append(
            (
                row["figure"],
                _number(row["a"]),
                _number(row["b"]),
                row["unit"],
                change,
                interval,
                "" if noise is None else f"{noise:.1%}",
                row.get("verdict", ""),
            )
        )
    print_table(columns, shown, width=width)
    for row in rows:
        if row.get("power"):
            words = f"{row['figure']}: {power_words(Power(**row['power']), 'A')}"
            print_folded(words, width=width, indent="  ")
    if not any(row["figure"] == "mean KL" for row in rows):
        words = "no agreement with the original: neither conversion compared real weights with it"
        print_folded(words, width=width, indent="  ")


def _change(row: dict[str, Any]) -> tuple[str, str]:
    """How B differs, and between what: in percent, of scores in the score's own unit."""
    if "difference" in row:
        low, high = row["difference_interval"]
        return f"{row['difference']:+.4f}", f"{low:+.4f} .. {high:+.4f}"
    change, interval = row.get("change"), row.get("interval")
    return (
        "" if change is None else f"{change:+.1%}",
        "" if interval is None else f"{interval[0]:+.1%} .. {interval[1]:+.1%}",
    )


def _number(value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"
