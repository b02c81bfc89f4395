"""`slm artifacts`: the converted models in a folder."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from toolkit.artifact import MANIFEST, Artifact, check_is_artifact
from toolkit.cli.text_output import write_text
from toolkit.errors import ArtifactError, UsageError

if TYPE_CHECKING:
    from toolkit.artifact import Manifest
    from toolkit.export.request import ConvertRequest

# Where `slm convert` writes without -o, and where these commands look.
FOLDER = Path("artifacts")
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")

app = typer.Typer(help="List, show and remove converted models.", no_args_is_help=True, rich_markup_mode=None)

_WHERE = typer.Argument(FOLDER, metavar="FOLDER", help="Folder of artifact folders.", show_default=True)
_JSON = typer.Option(False, "--json", help="Print JSON.")


def default_folder(request: ConvertRequest) -> Path:
    """Where a conversion goes without -o: a name of the model and of every option that is not the default."""
    model = Path(request.model.removeprefix("random:")).name
    model = re.sub(r"\.(gguf|json)$", "", model, flags=re.IGNORECASE) or "model"
    return FOLDER / _UNSAFE.sub("-", f"{model} {request.label()}").strip("-")


@dataclass(frozen=True)
class Found:
    """A folder with a manifest; ``problem`` says why it cannot be used."""

    path: Path
    manifest: Manifest | None
    problem: str = ""


def find(folder: Path) -> Iterator[Found]:
    """The artifacts in a folder and in its folders, or the folder itself.

    Raises:
        UsageError: there is no such folder; the default one is only not there yet.
    """
    if not folder.is_dir() and folder != FOLDER:
        raise UsageError(
            "no such folder", subject=str(folder), next_step="Make an artifact first: slm convert MODEL"
        )
    for manifest in sorted(
        {*folder.glob(MANIFEST), *folder.glob(f"*/{MANIFEST}"), *folder.glob(f"*/*/{MANIFEST}")}
    ):
        try:
            yield Found(manifest.parent, Artifact.load(manifest.parent).manifest)
        except ArtifactError as error:
            yield Found(manifest.parent, None, error.what)


@app.command("list")
def list_artifacts(folder: Path = _WHERE, as_json: bool = _JSON) -> None:
    """List the converted models in a folder, with their checks.

    \b
    Examples:
      slm artifacts list
      slm artifacts list /data/artifacts --json
    """  # noqa: D301
    found = list(find(folder))
    if as_json:
        print(json.dumps([_row(one) for one in found], indent=2))
        return
    if not found:
        write_text(f"no artifacts in the folder {folder}; make one with slm convert MODEL\n")
        return
    from toolkit.cli.tables import Column, line_width, print_folded, print_table

    columns = (
        Column("folder"),
        Column("engine", rank=3),
        Column("quant", rank=2),
        Column("MB", numeric=True, rank=1),
        Column("check"),
        Column("made", rank=4),
    )
    width = line_width()
    print_table(columns, [_cells(one) for one in found], width=width)
    for one in found:
        if one.problem:
            print_folded(f"{one.path}: {one.problem}", width=width, indent="  ")


@app.command()
def show(
    artifact: Path = typer.Argument(help="Artifact folder.", metavar="ARTIFACT"),
    as_json: bool = typer.Option(False, "--json", help="Print the manifest."),
) -> None:
    """Show one artifact: source, settings, check. Its files are hashed again.

    \b
    Examples:
      slm artifacts show artifacts/my-model
    """  # noqa: D301
    from toolkit.cli.tables import line_width, print_facts

    loaded = Artifact.load(artifact)
    loaded.verify()
    manifest = loaded.manifest
    if as_json:
        print(manifest.model_dump_json(by_alias=True, indent=2))
        return
    row = _row(Found(artifact, manifest))
    parity = manifest.parity
    facts = {
        "artifact": f"{manifest.name} ({manifest.sha256[:16]})",
        "source": f"{manifest.source.id} ({manifest.source.kind})",
        "engine": f"{manifest.backend.name} {manifest.backend.version}",
        "quantization": row["quantization"],
        "size": f"{manifest.size_bytes / 1e6:.1f} MB in {len(manifest.files)} files, unchanged",
        "parameters": f"{manifest.architecture.unique_parameters / 1e6:.1f} M",
        "context": f"{manifest.context_length} tokens",
        "check": row["verdict"] or "not compared with the original",
        "agreement": parity and f"top-1 {parity.top1_agreement:.0%}, mean KL {parity.mean_kl:.3g} nats",
        "chat template": "yes" if manifest.chat_template_file else "no",
        "made": manifest.created_utc,
    }
    print_facts([(name, value) for name, value in facts.items() if value], width=line_width())


@app.command()
def remove(
    artifacts: list[Path] = typer.Argument(help="Artifact folders.", metavar="ARTIFACT"),
) -> None:
    """Remove artifact folders from this machine. What was stored of their runs stays.

    \b
    Examples:
      slm artifacts remove artifacts/my-model artifacts/another
    """  # noqa: D301
    # All are looked at before the first one goes.
    for one in artifacts:
        if one.is_symlink():
            raise UsageError(
                "is only a link", subject=str(one), next_step=f"Remove what it leads to: {one.resolve()}"
            )
        check_is_artifact(one)
    for folder, one in {one.resolve(): one for one in artifacts}.items():
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise ArtifactError(
                f"cannot be removed: {error.strerror}", subject=str(one), next_step="Remove it by hand."
            ) from None
        print(f"removed {one}")


def _cells(one: Found) -> tuple[str, ...]:
    row = _row(one)
    return (
        str(one.path),
        row["backend"] or "",
        row["quantization"] or "",
        "" if row["size_bytes"] is None else f"{row['size_bytes'] / 1e6:.1f}",
        "unreadable" if one.problem else row["verdict"] or "not checked",
        (row["created_utc"] or "")[:10],
    )


def _row(one: Found) -> dict[str, Any]:
    manifest = one.manifest
    return {
        "path": str(one.path),
        "problem": one.problem or None,
        "name": manifest and manifest.name,
        "backend": manifest and manifest.backend.name,
        "quantization": manifest and _quantization(manifest),
        "size_bytes": manifest and manifest.size_bytes,
        "verdict": manifest and _verdict(manifest),
        "created_utc": manifest and manifest.created_utc,
    }


def _quantization(manifest: Manifest) -> str:
    linear = manifest.quantization.linear
    group = f" g{linear.group_size}" if linear.group_size else ""
    return f"{manifest.quantization.preset or linear.scheme}{group}"


def _verdict(manifest: Manifest) -> str | None:
    from toolkit.evaluate.verdict import in_a_word

    return None if manifest.parity is None else in_a_word(manifest)
