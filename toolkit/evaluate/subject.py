"""What is evaluated: an artifact in its engine, or a model in transformers."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from toolkit.artifact import MANIFEST, Artifact
from toolkit.capture.shape import longest_text
from toolkit.engines import ENGINES
from toolkit.errors import EngineFailed, OtherSource, SourceNotFound, UsageError
from toolkit.files import expanded
from toolkit.inference.apart import decoder_apart
from toolkit.inference.decoder import Decoder, open_decoder
from toolkit.inference.transformers_decoder import open_original
from toolkit.settings import Settings
from toolkit.sources import resolve

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from toolkit.sources import ModelSource

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Subject:
    """A model under evaluation.

    Attributes:
        name: for people and records.
        artifact: None for a model in transformers.
        source: the model in transformers; None for an artifact.
        context_length: positions that it can hold; None where the model does not say.
        vocab_size: ids that it has an embedding for.
    """

    name: str
    artifact: Artifact | None
    source: ModelSource | None
    context_length: int | None
    vocab_size: int

    def open(self, capacity: int, dtype: str = "fp32") -> Decoder:
        """The decoder on this host.

        Args:
            capacity: tokens that it will be fed.
            dtype: of a model in transformers.

        Raises:
            SourceError: the model cannot be loaded.
            UsageError: the engine's package is not installed.
        """
        if self.artifact is not None:
            engine = ENGINES.get(self.artifact.manifest.backend.name)
            engine.check_installed()
            return open_decoder(engine, self.artifact.path, capacity)
        assert self.source is not None
        return open_original(self.source, DTYPES[dtype])

    @contextmanager
    def opened(self, capacity: int, dtype: str = "fp32") -> Iterator[Decoder]:
        """As :meth:`open`; an artifact's engine is in a process of its own, for as long as the block runs.

        Raises:
            EngineFailed: the engine refuses the artifact, or ended its process; methods say so, too.
        """
        if self.artifact is None:
            yield self.open(capacity, dtype)
            return
        engine = ENGINES.get(self.artifact.manifest.backend.name)
        engine.check_installed()
        try:
            with decoder_apart(engine, self.artifact.path, capacity) as decoder:
                yield decoder
        except EngineFailed as error:
            error.subject = error.subject or self.name
            raise

    def write_tokenizer(self, folder: Path) -> Path:
        """Where the tokenizer's files are: the artifact's own, or written into the folder given."""
        if self.artifact is not None:
            return self.artifact.path
        assert self.source is not None
        self.source.write_tokenizer(folder)
        return folder

    def tokenizer(self) -> Tokenizer:
        """The tokenizer, as `tokenizers` loads it.

        Raises:
            UsageError: the model comes without one.
        """
        from tokenizers import Tokenizer

        with tempfile.TemporaryDirectory(prefix="slm-tokenizer-") as folder:
            file = self.write_tokenizer(Path(folder)) / "tokenizer.json"
            if not file.is_file():
                raise UsageError(
                    "has no tokenizer.json, so no text can be evaluated",
                    subject=self.name,
                    next_step="Get the model with its tokenizer, and convert it again.",
                )
            tokenizer = Tokenizer.from_file(str(file))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer


def subject_of(target: str, settings: Settings) -> Subject:
    """What the user named: an artifact's folder, or anything that can be converted.

    Raises:
        NotAnArtifact: a damaged artifact.
        SourceError: no such model.
    """
    folder = expanded(target)
    if (folder / MANIFEST).is_file():
        artifact = Artifact.load(folder)
        manifest = artifact.manifest
        return Subject(
            manifest.name, artifact, None, manifest.context_length, manifest.architecture.vocab_size
        )
    return subject_of_source(resolve(target, settings))


def subject_of_source(source: ModelSource) -> Subject:
    """A model in transformers."""
    limit = longest_text(source.config)
    return Subject(source.name, None, source, limit, int(source.config.vocab_size))


def source_sha256(source: ModelSource) -> str:
    """A hash over what a model's predictions follow from: its config and the files of its weights."""
    config = source.config.to_dict()
    # Where it was read from, and by what, changes nothing.
    for name in ("_name_or_path", "transformers_version"):
        config.pop(name, None)
    # Random weights have no files and follow from their name.
    weights = sorted(entry.sha256 for entry in source.info.files) or [source.info.id]
    said = json.dumps([config, weights], sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()


def source_of(artifact: Artifact, named: str | None, settings: Settings) -> ModelSource:
    """The model that an artifact was converted from.

    Args:
        artifact: its manifest says what the source was.
        named: what the user says that it is; None asks the manifest.
        settings: caches.

    Raises:
        OtherSource: the model found has other weights.
        SourceError: it is not to be found.
    """
    info = artifact.manifest.source
    from_hub = info.kind == "hub" and named in (None, info.id)
    revision = info.revision if from_hub else None
    try:
        source = resolve(named or info.id, settings, revision=revision, from_hub=from_hub)
    except SourceNotFound as error:
        if named is None:
            error.next_step = "Name the model with --source, or leave the comparison out: --no-compare."
        raise
    made_from = {entry.sha256 for entry in info.files}
    found = {entry.sha256 for entry in source.info.files}
    if made_from != found or (not made_from and info.id != source.info.id):
        raise OtherSource(
            f"was not converted from {named or info.id}: the weights differ",
            subject=artifact.name,
            next_step="Name the model that it was made from with --source.",
        )
    return source
