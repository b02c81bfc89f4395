"""Our artifact on our runner."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Literal
from uuid import uuid4

from benchmarks.child import run_child
from benchmarks.errors import PeerFailed
from benchmarks.peers.base import (
    CONVERSION_TIMEOUT_S,
    PERPLEXITY_TIMEOUT_S,
    PROFILE_TIMEOUT_S,
    Workplace,
    folder_bytes,
)
from benchmarks.peers.onnxruntime_genai import GenaiEngine
from benchmarks.samples import ConversionCost, ProfileSample, Score, sample_of_result
from toolkit.artifact import Artifact, sha256_of
from toolkit.profiling.records import parse_result
from toolkit.runtime.bundle import Bundle, build_bundle
from toolkit.settings import Settings


class OurArtifact:
    """An artifact that `slm convert` makes; several rows run it on several engines."""

    def __init__(self, quantization: str, out: Path) -> None:
        self.quantization = quantization
        self.folder = out / "models" / f"ours-{quantization}"
        self._scored_folder = out / "models" / f"ours-{quantization}-all-logits"
        self._costs: list[ConversionCost] | None = None
        self._scored = False

    def convert(self, place: Workplace) -> list[ConversionCost]:
        """Convert twice, without and with a cached capture; further calls return the same costs."""
        if self._costs is None:
            shutil.rmtree(self._cache(place), ignore_errors=True)
            self._costs = [
                self._convert(place, "cold", self.folder),
                self._convert(place, "cached capture", self.folder),
            ]
        return self._costs

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
        return place.out / "cache" / self.quantization

    def _convert(self, place: Workplace, label: str, folder: Path, *options: str) -> ConversionCost:
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "toolkit.cli.main",
            "convert",
            place.gguf,
            "--force",
        ]
        command += ["--quant", self.quantization, "--output", folder, *options]
        usage = run_child(
            command,
            log=place.log(f"ours-{self.quantization}", f"convert-{label.replace(' ', '-')}"),
            timeout_s=CONVERSION_TIMEOUT_S,
            environment={"SLM_CACHE_DIR": str(self._cache(place))},
        )
        return ConversionCost(label=label, seconds=usage.seconds, peak_rss_bytes=usage.peak_rss_bytes)

    def _check_same_weights(self) -> None:
        """Perplexity is taken on the twin; it says something about the artifact only if weights are equal."""
        ours, twin = (
            {file.name: sha256_of(file) for file in sorted(folder.glob("*.data"))}
            for folder in (self.folder, self._scored_folder)
        )
        if not ours or ours != twin:
            raise PeerFailed("the artifact with --logits all holds other weights")


class Ours:
    """Our artifact on our runner, straight from the bundle: no device layer in between."""

    def __init__(
        self,
        artifact: OurArtifact,
        scorer: GenaiEngine,
        settings: Settings,
        *,
        kernels: Literal["own", "engine"] = "own",
    ) -> None:
        own = kernels == "own"
        self.name = f"ours-{artifact.quantization}" + ("" if own else "-engine-kernels")
        self.title = f"slm-toolkit, {artifact.quantization}" + ("" if own else ", the engine's kernels")
        whose = "the runner's own" if own else "the engine's"
        self.notes = f"{whose} kernels for quantized weights; KV cache fp32; logits of the last position"
        self._kernels = kernels
        self._artifact = artifact
        self._scorer = scorer
        self._settings = settings
        self._bundle: Bundle | None = None

    def prepare(self, place: Workplace) -> list[ConversionCost]:
        """Build the runner and convert."""
        self._bundle = build_bundle("host", self._settings)
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
        command: list[str | Path] = [*self._bundle.command(str(self._bundle.path)), "profile"]
        command += [str(part) for flag in flags.items() for part in flag]
        run_child(command, log=place.log(self.name, "profile"), timeout_s=PROFILE_TIMEOUT_S)
        result = parse_result(output.read_text(), run_id=run_id, subject=self.name)
        # The runner adds which of its own it chose for this CPU: "own:avx512vnni".
        ran = result.start.kernels or "unknown"
        if ran.partition(":")[0] != self._kernels:
            raise PeerFailed(f"{ran} kernels ran, not {self._kernels}")
        return sample_of_result(result)

    def perplexity(self, place: Workplace) -> Score:
        """The twin with all logits, read back through onnxruntime-genai: the same kernels."""
        self._scorer.install(place)
        twin = self._artifact.scored_twin(place)
        return self._scorer.score(place, self.name, twin, PERPLEXITY_TIMEOUT_S)

    def versions(self, place: Workplace) -> dict[str, str]:
        """Engine of the bundle and tools of the artifact."""
        tools = dict(Artifact.load(self._artifact.folder).manifest.tools)
        return {**tools, "runner engine": self._bundle.engine_version if self._bundle else "unknown"}
