"""ExecuTorch's own LLM runner: on our artifact, and on what optimum-executorch makes."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.child import run_child
from benchmarks.environments import Environment
from benchmarks.errors import PeerFailed
from benchmarks.kept import name_of
from benchmarks.machine import describe_cpu
from benchmarks.peers.base import (
    CONVERSION_TIMEOUT_S,
    PERPLEXITY_TIMEOUT_S,
    PROFILE_TIMEOUT_S,
    Workplace,
    folder_bytes,
)
from benchmarks.peers.ours import OurArtifact
from benchmarks.samples import ConversionCost, ProfileSample, Score, read_answer
from benchmarks.workload import WINDOW_TOKENS, Workload
from toolkit.files import sha256_of

_DRIVER = Path(__file__).parents[1] / "drivers" / "executorch_driver.py"
_OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
# Both artifacts get a KV cache for the full run's work, whatever a quick run needs of it: a conversion by
# optimum-executorch takes too long to be made for each.
CONTEXT_LENGTH = Workload().context_length


class ExecutorchEngine:
    """The Python package in its environment, on any model folder."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def install(self, place: Workplace) -> None:
        """Make the environment."""
        self._environment.ensure(place.log(self._environment.name, "install"))

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
            environment=_OFFLINE,
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
        request = place.json_request(f"{name}-profile", prompts, place.workload.threads)
        output = place.answer(name, "profile")
        self._drive("profile", folder, request, output, place.log(name, "profile"), PROFILE_TIMEOUT_S)
        return read_answer(output, ProfileSample)

    def score(self, place: Workplace, name: str, folder: Path) -> Score:
        """Perplexity of a folder that gives logits for all positions."""
        engine = f"{self._environment.identity} {sha256_of(_DRIVER)}"
        return place.kept_score(folder, engine, lambda: self._score(place, name, folder))

    def _score(self, place: Workplace, name: str, folder: Path) -> Score:
        request = place.json_request(f"{name}-perplexity", place.windows, place.workload.threads)
        output = place.answer(name, "perplexity")
        log = place.log(name, "perplexity")
        self._drive("perplexity", folder, request, output, log, PERPLEXITY_TIMEOUT_S)
        return read_answer(output, Score)

    def versions(self, place: Workplace) -> dict[str, str]:
        """Versions in the environment."""
        installed = self._environment.versions(place.log(self._environment.name, "versions"))
        return {name: installed[name] for name in ("executorch", "optimum-executorch") if name in installed}

    def _drive(
        self, mode: str, folder: Path, request: Path, output: Path, log: Path, timeout_s: float
    ) -> None:
        command: list[str | Path] = [self._environment.python, _DRIVER, mode, folder, request, output]
        run_child(command, log=log, timeout_s=timeout_s, environment=_OFFLINE)


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
