"""Our artifacts on our runners."""

from __future__ import annotations

import math
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import uuid4

from benchmarks.child import run_child
from benchmarks.errors import PeerFailed
from benchmarks.peers.base import CONVERSION_TIMEOUT_S, PROFILE_TIMEOUT_S, Scorer, Workplace, folder_bytes
from benchmarks.samples import ConversionCost, ProfileSample, Score, sample_of_result
from toolkit.artifact import Artifact
from toolkit.files import sha256_of
from toolkit.profiling.records import parse_result
from toolkit.runtime.bundle import Bundle, build_bundle
from toolkit.settings import Settings

Backend = Literal["onnxruntime", "executorch"]
# Both are computed from the same logits, row by row; only the number of rows in one product differs.
_SAME_KL = 1e-3


class OurArtifact:
    """An artifact that `slm convert` makes; several rows run it on several engines.

    Args:
        quantization: scheme or preset.
        out: folder for everything that this run makes.
        backend: what it is made for.
        context_length: positions of its KV cache; None for the converter's default.
    """

    def __init__(
        self,
        quantization: str,
        out: Path,
        *,
        backend: Backend = "onnxruntime",
        context_length: int | None = None,
    ) -> None:
        self.quantization = quantization
        self.backend = backend
        self.name = f"ours-{quantization}" + ("" if backend == "onnxruntime" else f"-{backend}")
        self.folder = out / "models" / self.name
        self._scored_folder = out / "models" / f"{self.name}-all-logits"
        self._context_length = context_length
        self._converted = False
        self._scored = False

    def convert(self, place: Workplace) -> list[ConversionCost]:
        """Convert twice, without and with a cached capture.

        Returns:
            What it cost, to whoever asks first; nothing to the others that run the same artifact.
        """
        if self._converted:
            return []
        shutil.rmtree(self._cache(place), ignore_errors=True)
        costs = [
            self._convert(place, "cold", self.folder),
            self._convert(place, "cached capture", self.folder),
        ]
        self._converted = True
        return costs

    def scored_twin(self, place: Workplace) -> Path:
        """The same weights with logits for every position.

        Raises:
            PeerFailed: the conversion failed, or the weights are not the same.
        """
        if not self._scored:
            self._convert(place, "all logits", self._scored_folder, "--logits", "all")
            self._check_same_weights()
            self._scored = True
        return self._scored_folder

    def _cache(self, place: Workplace) -> Path:
        # Of its own, so that "cold" is cold; the source file lies elsewhere and is not downloaded again.
        return place.out / "cache" / self.name

    def _convert(self, place: Workplace, label: str, folder: Path, *options: str) -> ConversionCost:
        command: list[str | Path] = [sys.executable, "-m", "toolkit.cli.main", "convert", place.gguf]
        command += ["--force", "--backend", self.backend, "--quant", self.quantization, "--output", folder]
        if self._context_length is not None:
            command += ["--context", str(self._context_length)]
        usage = run_child(
            [*command, *options],
            log=place.log(self.name, f"convert-{label.replace(' ', '-')}"),
            timeout_s=CONVERSION_TIMEOUT_S,
            environment={"SLM_CACHE_DIR": str(self._cache(place))},
        )
        return ConversionCost(label=label, seconds=usage.seconds, peak_rss_bytes=usage.peak_rss_bytes)

    def _check_same_weights(self) -> None:
        """Perplexity is taken on the twin; it says something about the artifact only if weights are equal."""
        if not (_same_weight_files if self.backend == "onnxruntime" else _same_parity)(
            self.folder, self._scored_folder
        ):
            raise PeerFailed("the artifact with --logits all holds other weights")


def _same_weight_files(one: Path, other: Path) -> bool:
    """Whether the files beside the graphs are equal byte for byte."""
    ours, twin = (
        {file.name: sha256_of(file) for file in sorted(folder.glob("*.data"))} for folder in (one, other)
    )
    return bool(ours) and ours == twin


def _same_parity(one: Path, other: Path) -> bool:
    """Whether two programs, which hold graph and weights in one file, answer alike in the parity check."""
    ours, twin = (Artifact.load(folder).manifest for folder in (one, other))
    if ours.parity is None or twin.parity is None or ours.greedy_reference != twin.greedy_reference:
        return False
    return math.isclose(ours.parity.mean_kl, twin.parity.mean_kl, rel_tol=_SAME_KL)


@dataclass(frozen=True)
class Variant:
    """How a row runs an artifact.

    Attributes:
        kernels: value of the runner's flag.
        suffix: of the row's name.
        title: what follows the quantization in the table.
        notes: settings that a reader must know to judge the row.
    """

    kernels: Literal["own", "engine"]
    suffix: str
    title: str
    notes: str


OWN_KERNELS = Variant(
    "own",
    "",
    "",
    "the runner's own kernels for quantized weights; KV cache fp32; logits of the last position",
)
ENGINE_KERNELS = Variant(
    "engine",
    "-engine-kernels",
    ", the engine's kernels",
    "the engine's kernels for quantized weights; KV cache fp32; logits of the last position",
)
EXECUTORCH = Variant(
    # On ARM the runner leaves all delegates to XNNPACK, whatever is asked for.
    "own" if platform.machine() in ("x86_64", "AMD64") else "engine",
    "",
    ", ExecuTorch",
    "on x86 the runner's own kernels for quantized weights, else XNNPACK's; its own for attention; KV "
    "cache fp32; logits of the last position",
)
EXECUTORCH_ENGINE_KERNELS = Variant(
    "engine",
    "-engine-kernels",
    ", ExecuTorch, the engine's kernels",
    "XNNPACK's kernels for quantized weights, the runner's own for attention; KV cache fp32; logits of the "
    "last position",
)


class Ours:
    """Our artifact on our runner, straight from the bundle: no device layer in between."""

    def __init__(
        self, artifact: OurArtifact, scorer: Scorer, settings: Settings, variant: Variant = OWN_KERNELS
    ) -> None:
        self.name = artifact.name + variant.suffix
        self.title = f"slm-toolkit, {artifact.quantization}{variant.title}"
        self.engine: str = artifact.backend
        self.notes = variant.notes
        self._kernels = variant.kernels
        self._artifact = artifact
        self._scorer = scorer
        self.settings = settings
        self._bundle: Bundle | None = None

    def prepare(self, place: Workplace) -> list[ConversionCost]:
        """Build the runner and convert."""
        self._bundle = build_bundle("host", self.settings, engine=self._artifact.backend)
        return self._artifact.convert(place)

    def files_bytes(self) -> int:
        """The artifact folder."""
        return folder_bytes(self._artifact.folder)

    def profile(self, place: Workplace) -> ProfileSample:
        """One runner process."""
        if self._bundle is None:
            raise PeerFailed("not prepared")
        run_id = uuid4().hex
        output = place.answer(self.name, "profile")
        workload = place.workload
        flags = {
            "--model": self._artifact.folder,
            "--run-id": run_id,
            "--output": output,
            "--prompt-tokens": workload.prompt_tokens,
            "--generate-tokens": workload.generate_tokens,
            "--context": workload.context_length,
            "--threads": workload.threads,
            "--warmup": workload.warmup,
            "--repetitions": workload.repetitions,
            "--kernels": self._kernels,
        }
        words = ["profile", *(str(part) for flag in flags.items() for part in flag)]
        command = self._command(place, self._bundle, words)
        run_child(command, log=place.log(self.name, "profile"), timeout_s=PROFILE_TIMEOUT_S)
        result = parse_result(output.read_text(), run_id=run_id, subject=self.name)
        # The runner adds which of its own it chose for this CPU: "own:avx512vnni".
        ran = result.start.kernels or "unknown"
        if ran.partition(":")[0] != self._kernels:
            raise PeerFailed(f"{ran} kernels ran, not {self._kernels}")
        return sample_of_result(result)

    def _command(self, place: Workplace, bundle: Bundle, words: list[str]) -> list[str | Path]:
        """What runs the runner's command line."""
        return [*bundle.command(str(bundle.path)), *words]

    def perplexity(self, place: Workplace) -> Score:
        """The twin with all logits, in the engine's own Python package: the same weights."""
        self._scorer.install(place)
        return self._scorer.score(place, self.name, self._artifact.scored_twin(place))

    def versions(self, place: Workplace) -> dict[str, str]:
        """Engine of the bundle and tools of the artifact."""
        tools = dict(Artifact.load(self._artifact.folder).manifest.tools)
        engine = "runner engine" if self.engine == "onnxruntime" else f"runner engine ({self.engine})"
        return {**tools, engine: self._bundle.engine_version if self._bundle else "unknown"}
