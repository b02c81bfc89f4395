"""`slm runtime`: build and list runner bundles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.engines import DEFAULT_ENGINE

if TYPE_CHECKING:
    from toolkit.engines.spec import EngineSpec
    from toolkit.runtime.bundle import Bundle

app = typer.Typer(help="The runner bundle: runner, engine and loader for one ABI.", no_args_is_help=True)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command()
def build(
    abi: Annotated[str, typer.Option(help="ABI in Android's words (arm64-v8a, x86_64), or host.")] = "host",
    engine: Annotated[
        str, typer.Option(help="Inference engine, as in `slm runtime engines`.")
    ] = DEFAULT_ENGINE,
    as_json: _Json = False,
) -> None:
    """Build the bundle unless it is cached, and print its folder.

    Headers that an engine's package does not bring are downloaded at the first build. For arm64-v8a a cross
    compiler is needed (Debian: apt-get install g++-aarch64-linux-gnu), and the engine's wheel is downloaded
    with pip.

    Examples:
        slm runtime build
        slm runtime build --abi arm64-v8a --json
    """
    from toolkit.runtime.bundle import build_bundle
    from toolkit.settings import Settings

    bundle = build_bundle(abi, Settings.from_environment(), engine=engine)
    print(json.dumps(_as_dict(bundle), indent=2) if as_json else bundle.path)


@app.command("list")
def list_(as_json: _Json = False) -> None:
    """List the bundles in the cache.

    Examples:
        slm runtime list
        slm runtime list --json
    """
    from toolkit.runtime.bundle import list_bundles
    from toolkit.settings import Settings

    bundles = list_bundles(Settings.from_environment())
    if as_json:
        print(json.dumps([_as_dict(bundle) for bundle in bundles], indent=2))
        return
    if not bundles:
        print("No bundle yet: slm runtime build")
    for bundle in bundles:
        size_mb = bundle.size_bytes / 1e6
        print(f"{bundle.abi:<10} {bundle.engine} {bundle.engine_version:<8} {size_mb:6.1f} MB  {bundle.path}")


@app.command()
def engines(as_json: _Json = False) -> None:
    """List the engines that models can be converted for and run in.

    \b
    Examples:
      slm runtime engines
      slm runtime engines --json
    """  # noqa: D301
    from toolkit.engines import ENGINES, usable_engine

    found = {name: usable_engine(name) for name in ENGINES}
    if as_json:
        print(json.dumps([_engine_as_dict(*one) for one in found.items()], indent=2))
        return
    for name, engine in found.items():
        if engine is None:
            print(f"{name:<12} cannot be imported; slm doctor says why")
            continue
        print(f"{name:<12} {engine.installed_version or 'not installed':<14} {engine.processor}")


def _engine_as_dict(name: str, engine: EngineSpec | None) -> dict[str, Any]:
    if engine is None:
        return {"name": name, "usable": False}
    can = engine.capabilities
    return {
        "name": name,
        "usable": True,
        "title": engine.title,
        "version": engine.installed_version,
        "install": engine.install_for_converting,
        "runner": None if engine.runner is None else engine.runner.program,
        "processors": [{"name": engine.processor.name, "provider": engine.processor.provider}],
        "linears": {scheme: list(groups) for scheme, groups in can.linears.items()},
        "embeddings": list(can.embeddings),
        "official_runtime": engine.official_runtime,
    }


def _as_dict(bundle: Bundle) -> dict[str, Any]:
    return {
        "abi": bundle.abi,
        "engine": bundle.engine,
        "engine_version": bundle.engine_version,
        "path": str(bundle.path),
        "size_bytes": bundle.size_bytes,
        "sha256": bundle.sha256,
        "command": bundle.command(str(bundle.path)),
        "files": [entry.model_dump() for entry in bundle.files],
        "licenses": [entry.model_dump() for entry in bundle.licenses],
    }
