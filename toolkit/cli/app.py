"""`slm app`: build, check and install the Android app."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.cli.fleet import exit_with_first_failure, run_on_devices
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.app.driver import EngineInApp

app = typer.Typer(help="The Android app: the same runner inside an app.", no_args_is_help=True)

_DEVICES = typer.Option(
    [],
    "--device",
    "-d",
    help="Serial or name of a phone, or all; may be repeated. Default: the only attached phone.",
)


@app.command()
def build(
    check: bool = typer.Option(
        False, "--check", help="Make and verify an APK without Android's SDK; without the NDK it cannot run."
    ),
    output: Path | None = typer.Option(None, "--output", "-o", help="Where the checked APK goes."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Get the app ready for Android Studio, or check it here.

    Without --check the engines' headers and libraries are put beside the sources; Android Studio or Gradle,
    with Android's SDK and NDK, does the rest. With it, an APK is compiled against stubs, dexed, linked,
    signed and verified; it holds no library of ours, so it is for checks only.

    \b
    Examples:
      slm app build
      slm app build --check
      slm app build --check -o slm-check.apk --json
    """  # noqa: D301
    from toolkit.app.android_tools import find_tools
    from toolkit.app.apk import build_check_apk
    from toolkit.app.apk_check import check_apk
    from toolkit.app.prebuilt import provide_prebuilt

    settings = Settings.from_environment()
    if not check:
        folder = provide_prebuilt(settings)
        print(
            f"{folder}\nOpen this folder in Android Studio and run it, or: gradle -p {folder} assembleRelease"
        )
        return
    target = (output or settings.cache_dir / "app" / "check.apk").absolute()
    facts = check_apk(build_check_apk(target, settings), find_tools(settings))
    if as_json:
        found = {**asdict(facts), "path": str(target), "jni_symbols": sorted(facts.jni_symbols)}
        print(json.dumps(found, indent=2))
        return
    guards = ", ".join(f"{name} ({guard or 'launcher'})" for name, guard in facts.exported.items())
    print(f"{target}  {facts.size_bytes / 1e6:.1f} MB, signed and verified")
    print(f"permissions: {', '.join(facts.permissions) or 'none'}\nexported: {guards}")
    print(
        f"libraries: {', '.join(facts.libraries)}; aligned to 16 KB\n"
        "Without the app's own libraries: it cannot run."
    )


@app.command()
def install(
    apk: Path | None = typer.Argument(
        None, metavar="APK", help="The APK; a virtual phone gets its own package."
    ),
    device: list[str] = _DEVICES,
) -> None:
    """Install the app on phones.

    \b
    Examples:
      slm app install android_app/app/build/outputs/apk/release/app-release.apk
      slm app install --device 127.0.0.1:5555
    """  # noqa: D301
    from toolkit.app.install import install_app
    from toolkit.devices.discovery import open_device
    from toolkit.devices.selection import chosen_serials

    settings = Settings.from_environment()
    outcomes = run_on_devices(
        chosen_serials(device, settings),
        lambda serial, _: install_app(open_device(serial, settings), apk, settings),
    )
    for outcome in outcomes:
        if outcome.result is not None:
            print(f"{outcome.serial}: app {outcome.result.version} installed")
    exit_with_first_failure(outcomes)


@app.command()
def info(
    device: list[str] = _DEVICES, as_json: bool = typer.Option(False, "--json", help="Print JSON.")
) -> None:
    """Say which version of the app phones have, and which engines.

    Of each engine it lists the providers that its library offers, and of those that it lacks what brings
    them; models run on the CPU alone.

    \b
    Examples:
      slm app info
      slm app info --device R5CT1234567 --json
    """  # noqa: D301
    from toolkit.app.driver import InstalledApp, engines_of_app, installed_app
    from toolkit.devices.discovery import open_device
    from toolkit.devices.selection import chosen_serials

    settings = Settings.from_environment()

    def look(serial: str, _: object) -> tuple[InstalledApp | None, list[EngineInApp] | None]:
        opened = open_device(serial, settings)
        found = installed_app(opened)
        return found, None if found is None else engines_of_app(opened)

    outcomes = run_on_devices(chosen_serials(device, settings), look)
    found = {one.serial: one.result for one in outcomes if one.result is not None}
    if as_json:
        told = {
            serial: one and {**asdict(one), "engines": engines and [asdict(each) for each in engines]}
            for serial, (one, engines) in found.items()
        }
        print(json.dumps(told, indent=2))
    else:
        for serial, (one, engines) in found.items():
            print(f"{serial}: " + (f"app {one.version}, contract {one.contract}" if one else "no app"))
            for line in _engine_lines(engines) if one else ():
                print(f"  {line}")
    exit_with_first_failure(outcomes)


def _engine_lines(engines: list[EngineInApp] | None) -> list[str]:
    """What an app's engines offer, and what brings the providers that they lack."""
    from toolkit.app.shipped import engines_in_app

    if engines is None:
        return ["it does not say which engines it has"]
    here = {one.engine: one for one in engines}
    lines = []
    for spec in engines_in_app():
        one = here.get(spec.name)
        if one is None:
            lines.append(f"without {spec.name}: docs/android_app.md says how to build it with that engine")
            continue
        if one.problem is not None:
            lines.append(f"{one.engine}: its library cannot be used: {one.problem}")
            continue
        lines.append(f"{one.engine} {one.version}: {', '.join(one.providers)}")
        lines += [
            f"  without {other.provider} ({other.name}): it comes with {other.library}"
            for other in spec.other_processors
            if other.provider not in one.providers
        ]
    return lines


@app.command()
def chat(
    artifact: Path = typer.Argument(..., help="Artifact folder.", metavar="ARTIFACT"),
    prompt: list[str] = typer.Option(
        ..., "--prompt", "-p", help="What the user says; each further one is the next turn."
    ),
    device: str | None = typer.Option(
        None, "--device", "-d", help="Serial; the attached phone when there is just one."
    ),
    system: str | None = typer.Option(None, "--system", help="System message."),
    max_tokens: int = typer.Option(256, "--max-tokens", "-n", min=1, help="Most tokens of an answer."),
    threads: int = typer.Option(0, "--threads", "-t", min=0, help="Engine threads; 0: the app's choice."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON at the end instead of text."),
) -> None:
    """Talk to a model in the app, by its template and tokenizer.

    The same code as the app's chat screen. The model is loaded once; of each turn only what is new is
    computed. slm generate --runner app renders the chat template on this machine.

    \b
    Examples:
      slm app chat artifacts/smollm2 --prompt "Who are you?"
      slm app chat artifacts/smollm2 -p "Name a colour." -p "Another one?" --system "Answer in one word."
    """  # noqa: D301
    from toolkit.artifact import Artifact
    from toolkit.chat.app_chat import chat_in_app
    from toolkit.cli.text_output import OutputClosed, end_quietly, write_text
    from toolkit.devices.discovery import open_device
    from toolkit.devices.selection import chosen_serial
    from toolkit.progress import say

    settings = Settings.from_environment()
    serial = chosen_serial(device, settings)
    shown = 1

    def on_text(turn: int, text: str) -> None:
        nonlocal shown
        if not as_json:
            write_text("\n" * (turn - shown) + text)
        shown = turn

    try:
        answers = chat_in_app(
            open_device(serial, settings),
            Artifact.load(artifact),
            prompt,
            settings,
            system=system,
            max_tokens=max_tokens,
            threads=threads,
            on_text=on_text,
        )
        found = json.dumps([answer.model_dump() for answer in answers], indent=2)
        write_text(found + "\n" if as_json else "\n")
    except OutputClosed:
        end_quietly()
        return
    for answer in answers:
        say(
            f"turn {answer.turn}: {answer.prompt_tokens} prompt tokens ({answer.kept} kept), "
            f"{answer.tokens} generated"
        )
