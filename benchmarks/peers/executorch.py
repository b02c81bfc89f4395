"""ExecuTorch's own LLM runner: on our artifact, and on what optimum-executorch makes."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.child import run_child
from benchmarks.errors import PeerFailed
from benchmarks.kept import name_of
from benchmarks.machine import describe_cpu
from benchmarks.peers.base import CONVERSION_TIMEOUT_S, Workplace, folder_bytes
from benchmarks.peers.driven import OFFLINE, DrivenEngine
from benchmarks.peers.ours import OurArtifact
from benchmarks.samples import ConversionCost, ProfileSample, Score
from benchmarks.workload import WINDOW_TOKENS, Workload

# Both artifacts get a KV cache for the full run's work, whatever a quick run needs of it: a conversion by
# optimum-executorch takes too long to be made for each.
CONTEXT_LENGTH = Workload().context_length


class ExecutorchEngine(DrivenEngine):
    """ExecuTorch's Python package."""

    driver = "executorch_driver.py"
    packages = ("executorch", "optimum-executorch")

    def export(self, place: Workplace) -> tuple[Path, ConversionCost]:
        """Convert with optimum-executorch, or take what an earlier run has converted.

        Returns:
            The folder, and what it cost when it was made.
        """
        flags = ["--task", "text-generation", "--recipe", "xnnpack"]
        flags += ["--use_custom_sdpa", "--use_custom_kv_cache"]
        flags += ["--qlinear", "8da4w", "--qlinear_group_size", "32", "--qembedding", "8w"]
        flags += ["--max_seq_len", str(CONTEXT_LENGTH)]
        question = {
            "asked": "conversion by optimum-executorch",
            "source": place.gguf_sha256,
            "flags": " ".join(flags),
            "environment": self._environment.identity,
            "cpu": describe_cpu(),
        }
        output = place.out / "models" / f"optimum-executorch-{name_of(question)}"
        # What comes last says whether the folder is whole.
        if not (output / "tokenizer.json").is_file():
            place.kept.forget(question)
        cost = place.kept.answer(question, ConversionCost, lambda: self._export(place, output, flags))
        return output, cost

    def _export(self, place: Workplace, output: Path, flags: list[str]) -> ConversionCost:
        print("convert with optimum-executorch (once; about ten minutes) ...", flush=True)
        shutil.rmtree(output, ignore_errors=True)
        command: list[str | Path] = [self._environment.path / "bin" / "optimum-cli", "export", "executorch"]
        command += ["--model", place.hf_folder, "--output_dir", output, *flags]
        usage = run_child(
            command,
            log=place.log("executorch-optimum", "convert"),
            timeout_s=CONVERSION_TIMEOUT_S,
            environment=OFFLINE,
        )
        # It leaves the tokenizer, which a runner needs, to the user.
        shutil.copy(place.hf_folder / "tokenizer.json", output)
        return ConversionCost(
            label=f"optimum-cli, taken {datetime.now(UTC):%Y-%m-%d}",
            seconds=usage.seconds,
            peak_rss_bytes=usage.peak_rss_bytes,
        )

    def profile(self, place: Workplace, name: str, folder: Path) -> ProfileSample:
        """One process."""
        tokens = place.workload.prompt_tokens
        if tokens > WINDOW_TOKENS:
            raise PeerFailed(f"a prompt of {tokens} tokens is longer than a window of {WINDOW_TOKENS}")
        prompts = [window[:tokens] for window in place.windows]
        return self._profile(place, name, folder, prompts, place.workload.threads)


class ExecutorchOnOurArtifact:
    """The very folder that our runner runs, in ExecuTorch's runner."""

    name = "executorch-same-artifact"
    title = "ExecuTorch's runner, our artifact"
    engine = "executorch"
    notes = f"KV cache fp32 of {CONTEXT_LENGTH} positions; prompts are text; logits of the last position"

    def __init__(self, artifact: OurArtifact, engine: ExecutorchEngine) -> None:
        self._artifact = artifact
        self._engine = engine

    def prepare(self, place: Workplace) -> list[ConversionCost]:
        """Install, and convert unless our own row has."""
        self._engine.install(place)
        return self._artifact.convert(place)

    def files_bytes(self) -> int:
        """The artifact folder."""
        return folder_bytes(self._artifact.folder)

    def profile(self, place: Workplace) -> ProfileSample:
        """One process."""
        return self._engine.profile(place, self.name, self._artifact.folder)

    def perplexity(self, place: Workplace) -> Score:
        """The twin with all logits."""
        return self._engine.score(place, self.name, self._artifact.scored_twin(place))

    def versions(self, place: Workplace) -> dict[str, str]:
        """Versions in the environment."""
        return self._engine.versions(place)


class OptimumExecutorch:
    """What optimum-executorch makes, in ExecuTorch's runner."""

    name = "executorch-optimum"
    title = "ExecuTorch's runner, optimum-executorch"
    engine = "executorch"
    notes = (
        "--recipe xnnpack --use_custom_sdpa --use_custom_kv_cache --qlinear 8da4w (groups of 32) "
        f"--qembedding 8w; KV cache fp32 of {CONTEXT_LENGTH} positions; prompts are text; logits of all "
        "positions"
    )

    def __init__(self, engine: ExecutorchEngine, out: Path) -> None:
        self._engine = engine
        # Until it is converted, when its name is known.
        self._folder = out / "models" / "optimum-executorch"

    def prepare(self, place: Workplace) -> list[ConversionCost]:
        """Install and convert."""
        self._engine.install(place)
        self._folder, cost = self._engine.export(place)
        return [cost]

    def files_bytes(self) -> int:
        """Program and tokenizer."""
        return folder_bytes(self._folder)

    def profile(self, place: Workplace) -> ProfileSample:
        """One process."""
        return self._engine.profile(place, self.name, self._folder)

    def perplexity(self, place: Workplace) -> Score:
        """The folder itself: it gives logits for all positions."""
        return self._engine.score(place, self.name, self._folder)

    def versions(self, place: Workplace) -> dict[str, str]:
        """Versions in the environment."""
        return self._engine.versions(place)
