"""`slm runtime`: build and list runner bundles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from toolkit.engines.spec import EngineSpec
    from toolkit.runtime.bundle import Bundle

app = typer.Typer(
    help="The runner bundle: runner, engine libraries and loader for one ABI.", no_args_is_help=True
)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command()
def build(
    abi: Annotated[str, typer.Option(help="ABI in Android's words (arm64-v8a, x86_64), or host.")] = "host",
    engine: Annotated[str, typer.Option(help="Inference engine: onnxruntime or executorch.")] = "onnxruntime",
    as_json: _Json = False,
) -> None:
    """Build the bundle unless an up-to-date one is cached, and print its folder.

    The first build for ONNX Runtime downloads its headers with npm; ORT_INCLUDE_DIR replaces it.
    ExecuTorch's come with its package: pip install 'slm-toolkit[executorch]'. For arm64-v8a a cross
    compiler is needed (Debian: apt-get install g++-aarch64-linux-gnu), and the engine's wheel is
    downloaded with pip.

    Examples:
        slm runtime build
        slm runtime build --abi arm64-v8a
        slm runtime build --abi arm64-v8a --engine executorch --json
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
    from toolkit.engines import ENGINES

    found = [(engine, engine.installed_version) for engine in ENGINES.values()]
    if as_json:
        print(json.dumps([_engine_as_dict(engine, version) for engine, version in found], indent=2))
        return
    for engine, version in found:
        processors = ", ".join(f"{one.name} ({one.provider})" for one in engine.processors)
        print(f"{engine.name:<12} {version or 'not installed':<14} {processors}")


def _engine_as_dict(engine: EngineSpec, version: str | None) -> dict[str, Any]:
    can = engine.capabilities
    return {
        "name": engine.name,
        "title": engine.title,
        "version": version,
        "install": engine.install,
        "processors": [{"name": one.name, "provider": one.provider} for one in engine.processors],
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
