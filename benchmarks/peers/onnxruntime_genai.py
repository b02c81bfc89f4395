"""onnxruntime-genai as published: on our artifact, and on what its own builder makes."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.child import run_child
from benchmarks.peers.base import CONVERSION_TIMEOUT_S, Workplace, folder_bytes
from benchmarks.peers.driven import OFFLINE, DrivenEngine
from benchmarks.samples import ConversionCost, ProfileSample, Score


class GenaiEngine(DrivenEngine):
    """onnxruntime-genai's Python package."""

    driver = "onnxruntime_genai_driver.py"
    packages = ("onnxruntime-genai", "onnxruntime")

    def build(self, place: Workplace, output: Path) -> ConversionCost:
        """Run the model builder with the options nearest to ours: int4, groups of 32, int8 activations."""
        shutil.rmtree(output, ignore_errors=True)
        command: list[str | Path] = [self._environment.python, "-m", "onnxruntime_genai.models.builder"]
        command += ["-i", place.hf_folder, "-o", output, "-p", "int4", "-e", "cpu"]
        command += ["-c", place.out / "cache" / "genai"]
        command += ["--extra_options", "block_size=32", "accuracy_level=4", "hf_token=false"]
        usage = run_child(
            command,
            log=place.log("genai-builder", "convert"),
            timeout_s=CONVERSION_TIMEOUT_S,
            environment=OFFLINE,
        )
        return ConversionCost(label="builder", seconds=usage.seconds, peak_rss_bytes=usage.peak_rss_bytes)

    def profile(self, place: Workplace, name: str, folder: Path, threads: int | None) -> ProfileSample:
        """One process; ``threads`` None leaves the engine its default."""
        return self._profile(place, name, folder, [place.prompt()], threads)


class GenaiBuilder:
    """What the engine's own builder makes, in the engine."""

    engine = "onnxruntime"
    notes = "builder -p int4 -e cpu, block 32, accuracy level 4; KV cache fp32; logits of all positions"

    def __init__(self, engine: GenaiEngine, *, as_shipped: bool, out: Path) -> None:
        self.name = "genai-builder" + ("-as-shipped" if as_shipped else "")
        self.title = "onnxruntime-genai, own builder" + (", as shipped" if as_shipped else "")
        self._engine = engine
        self._as_shipped = as_shipped
        self._folder = out / "models" / "genai-int4"

    def prepare(self, place: Workplace) -> list[ConversionCost]:
        """Build once; the row "as shipped" runs the same folder."""
        self._engine.install(place)
        if self._as_shipped and self._folder.is_dir():
            return []
        return [self._engine.build(place, self._folder)]

    def files_bytes(self) -> int:
        """The model folder."""
        return folder_bytes(self._folder)

    def profile(self, place: Workplace) -> ProfileSample:
        """One process."""
        threads = None if self._as_shipped else place.workload.threads
        return self._engine.profile(place, self.name, self._folder, threads)

    def perplexity(self, place: Workplace) -> Score:
        """The folder itself: it gives logits for all positions."""
        return self._engine.score(place, self.name, self._folder)

    def versions(self, place: Workplace) -> dict[str, str]:
        """Versions in the environment."""
        return self._engine.versions(place)
