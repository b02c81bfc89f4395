"""Our artifact in onnxruntime-genai, unchanged."""

from __future__ import annotations

from benchmarks.peers.base import Workplace, folder_bytes
from benchmarks.peers.onnxruntime_genai import GenaiEngine
from benchmarks.peers.ours import OurArtifact
from benchmarks.samples import ConversionCost, ProfileSample, Score


class GenaiOnOurArtifact:
    """The very folder that our runner runs, in onnxruntime-genai."""

    engine = "onnxruntime"

    def __init__(self, artifact: OurArtifact, engine: GenaiEngine, *, as_shipped: bool) -> None:
        self.name = "genai-same-artifact" + ("-as-shipped" if as_shipped else "")
        self.title = "onnxruntime-genai, our artifact" + (", as shipped" if as_shipped else "")
        self.notes = "KV cache fp32" + ("; the engine's default thread count" if as_shipped else "")
        self._artifact = artifact
        self._engine = engine
        self._as_shipped = as_shipped

    def prepare(self, place: Workplace) -> list[ConversionCost]:
        """The conversion is ours and is counted there."""
        self._engine.install(place)
        self._artifact.convert(place)
        return []

    def files_bytes(self) -> int:
        """The artifact folder."""
        return folder_bytes(self._artifact.folder)

    def profile(self, place: Workplace) -> ProfileSample:
        """One process."""
        threads = None if self._as_shipped else place.workload.threads
        return self._engine.profile(place, self.name, self._artifact.folder, threads)

    def perplexity(self, place: Workplace) -> Score:
        """The twin with all logits."""
        return self._engine.score(place, self.name, self._artifact.scored_twin(place))

    def versions(self, place: Workplace) -> dict[str, str]:
        """Versions in the environment."""
        return self._engine.versions(place)
