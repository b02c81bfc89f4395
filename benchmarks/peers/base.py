"""What the schedule asks of every row of the table."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.kept import KeptAnswers, digest_of_files, digest_of_windows
from benchmarks.samples import ConversionCost, ProfileSample, Score
from benchmarks.workload import Workload, synthetic_tokens

CONVERSION_TIMEOUT_S = 1800.0
PROFILE_TIMEOUT_S = 300.0
PERPLEXITY_TIMEOUT_S = 1200.0


@dataclass(frozen=True)
class Workplace:
    """Files that the peers share.

    Attributes:
        out: folder for everything that this run makes.
        gguf: the weights that every engine starts from.
        gguf_sha256: of that file.
        hf_folder: the same weights as fp32 safetensors.
        windows: token windows of the text.
        kept: answers of earlier runs.
    """

    out: Path
    gguf: Path
    gguf_sha256: str
    hf_folder: Path
    workload: Workload
    vocab_size: int
    windows: list[list[int]]
    kept: KeptAnswers

    def log(self, peer: str, stage: str) -> Path:
        """Where a child's output goes."""
        return self.out / "logs" / f"{peer}-{stage}.log"

    def answer(self, peer: str, stage: str) -> Path:
        """Where a driver writes; an answer of an earlier run is removed."""
        path = self.out / "answers" / f"{peer}-{stage}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        return path

    def prompt(self) -> list[int]:
        """The synthetic prompt."""
        return synthetic_tokens(self.workload.prompt_tokens, self.vocab_size)

    def json_request(self, name: str, sequences: list[list[int]], threads: int | None) -> Path:
        """A request as the Python drivers read it."""
        path = self.out / "requests" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        request = {
            "threads": threads,
            "generate_tokens": self.workload.generate_tokens,
            "warmup": self.workload.warmup,
            "repetitions": self.workload.repetitions,
            "sequences": sequences,
        }
        path.write_text(json.dumps(request))
        return path

    def kept_score(self, model: Path, engine: str, make: Callable[[], Score]) -> Score:
        """Score the windows, unless this engine has scored them on these very files before.

        Args:
            model: file or folder.
            engine: everything that the score depends on beside model and windows.
            make: takes the score.
        """
        question = {
            "asked": "perplexity",
            "model": digest_of_files(model),
            "windows": digest_of_windows(self.windows),
            "engine": engine,
        }
        return self.kept.answer(question, Score, make)


class Peer(Protocol):
    """One row. Every method raises PeerFailed or a ToolkitError when it cannot do its part.

    Attributes:
        name: for --only and file names.
        title: for the table.
        engine: whose rows are compared with each other: onnxruntime, executorch or llama.cpp.
        notes: settings that a reader must know to judge the row.
    """

    name: str
    title: str
    engine: str
    notes: str

    def prepare(self, place: Workplace) -> list[ConversionCost]:
        """Install the engine and make its model files; returns what the conversions cost."""

    def files_bytes(self) -> int:
        """Bytes of everything that has to be shipped: model, tokenizer, configuration."""

    def profile(self, place: Workplace) -> ProfileSample:
        """Run the workload once in a fresh process."""

    def perplexity(self, place: Workplace) -> Score:
        """Score the windows."""

    def versions(self, place: Workplace) -> dict[str, str]:
        """Packages that matter for the figures."""


class Scorer(Protocol):
    """An engine that takes the perplexity of a model folder with logits for all positions."""

    def install(self, place: Workplace) -> None:
        """Make its environment."""

    def score(self, place: Workplace, name: str, folder: Path) -> Score:
        """Score the windows; ``name`` is for file names."""


def folder_bytes(folder: Path) -> int:
    """Bytes of all files under a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
