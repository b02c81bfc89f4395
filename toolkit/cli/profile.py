"""`slm profile`: run an artifact on devices and store what was measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.errors import ToolkitError
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.artifact import Artifact
    from toolkit.profiling.options import ProfileOptions
    from toolkit.profiling.session import Session
    from toolkit.store.rows import StoredRun


def profile(
    artifact: Path = typer.Argument(help="Artifact folder, made by slm convert.", metavar="ARTIFACT"),
    device: list[str] = typer.Option(
        [],
        "--device",
        "-d",
        help="Serial, or local; may be repeated. The attached phone when there is just one, "
        "this machine when there is none.",
    ),
    prompt_tokens: int = typer.Option(512, "--prompt-tokens", min=1, help="Tokens prefilled (pp)."),
    generate_tokens: int = typer.Option(128, "--generate-tokens", min=1, help="Tokens generated (tg)."),
    depth: int = typer.Option(0, "--depth", min=0, help="Tokens in the KV cache before the prefill."),
    repetitions: int = typer.Option(5, "--repetitions", "-r", min=1, help="Measured repetitions."),
    warmup: int = typer.Option(1, "--warmup", min=0, help="Repetitions before them that do not count."),
    threads: int = typer.Option(0, "--threads", "-t", min=0, help="Engine threads; 0: the runner's choice."),
    affinity: str = typer.Option("", "--affinity", help="CPUs the runner may use, like 0,2,4-7."),
    prefill_chunk: int = typer.Option(
        0, "--prefill-chunk", min=0, help="Prompt tokens per prefill call; 0: the runner's choice."
    ),
    timeout: float | None = typer.Option(
        None, "--timeout", min=1, help="Seconds the runner may take; scaled by the work by default."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Push an artifact, run it, and store what was measured.

    Devices are taken one after the other; one that fails does not touch the others' results, and the
    exit code is the first failure's. docs/protocol.md says what the numbers mean.

    \b
    Examples:
      slm profile smollm2-8da4w
      slm profile smollm2-8da4w --device R5CT1234567 --device local --threads 4
      slm profile smollm2-8da4w --prompt-tokens 1024 --generate-tokens 256 --depth 512 --json
    """  # noqa: D301
    from toolkit.artifact import Artifact
    from toolkit.profiling.options import ProfileOptions, check_context, parse_affinity
    from toolkit.profiling.session import Session
    from toolkit.profiling.targets import chosen_serials
    from toolkit.store import open_store

    options = ProfileOptions(
        prompt_tokens=prompt_tokens,
        generate_tokens=generate_tokens,
        depth=depth,
        repetitions=repetitions,
        warmup=warmup,
        threads=threads,
        affinity=parse_affinity(affinity),
        prefill_chunk=prefill_chunk,
    )
    settings = Settings.from_environment()
    loaded = Artifact.load(artifact)
    check_context(loaded, options)
    serials = chosen_serials(device, settings)
    # Opened before the run: a store that cannot be used shows now, not after minutes of measuring.
    with open_store(settings.store_url) as store:
        session = Session(settings, store, timeout_s=timeout)
        runs, failures = _profile_all(serials, loaded, options, session)
    _print(runs, as_json)
    if failures:
        raise typer.Exit(failures[0].exit_code)


def _profile_all(
    serials: list[str], artifact: Artifact, options: ProfileOptions, session: Session
) -> tuple[list[StoredRun], list[ToolkitError]]:
    from toolkit.devices.discovery import open_device
    from toolkit.profiling.session import profile as profile_on

    runs: list[StoredRun] = []
    failures: list[ToolkitError] = []
    for serial in serials:
        try:
            runs.append(profile_on(open_device(serial, session.settings), artifact, options, session))
        except ToolkitError as error:
            print(f"error: {error}", file=sys.stderr)
            failures.append(error)
    return runs, failures


def _print(runs: list[StoredRun], as_json: bool) -> None:
    if as_json:
        from toolkit.store.export import as_json_data

        print(json.dumps([as_json_data(stored) for stored in runs], indent=2))
    elif runs:
        from toolkit.cli.run_table import print_runs

        print_runs(runs)
