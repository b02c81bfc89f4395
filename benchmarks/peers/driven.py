"""An engine that a driver of ours runs through its Python package, in an environment of its own."""

from __future__ import annotations

from pathlib import Path

from benchmarks.child import run_child
from benchmarks.environments import Environment
from benchmarks.peers.base import PERPLEXITY_TIMEOUT_S, PROFILE_TIMEOUT_S, Workplace
from benchmarks.samples import ProfileSample, Score, read_answer
from toolkit.files import sha256_of

_DRIVERS = Path(__file__).parents[1] / "drivers"
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "ORT_DISABLE_TELEMETRY": "1"}


class DrivenEngine:
    """The Python package in its environment, on any model folder.

    Attributes:
        driver: file in ``benchmarks/drivers``.
        packages: whose versions say which engine it was.
    """

    driver: str
    packages: tuple[str, ...]

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def install(self, place: Workplace) -> None:
        """Make the environment."""
        self._environment.ensure(place.log(self._environment.name, "install"))

    def score(self, place: Workplace, name: str, folder: Path) -> Score:
        """Perplexity of a folder that gives logits for all positions."""
        engine = f"{self._environment.identity} {sha256_of(_DRIVERS / self.driver)}"
        return place.kept_score(folder, engine, lambda: self._score(place, name, folder))

    def _score(self, place: Workplace, name: str, folder: Path) -> Score:
        request = place.json_request(f"{name}-perplexity", place.windows, place.workload.threads)
        return read_answer(
            self._drive(place, name, "perplexity", folder, request, PERPLEXITY_TIMEOUT_S), Score
        )

    def _profile(
        self, place: Workplace, name: str, folder: Path, prompts: list[list[int]], threads: int | None
    ) -> ProfileSample:
        request = place.json_request(f"{name}-profile", prompts, threads)
        return read_answer(
            self._drive(place, name, "profile", folder, request, PROFILE_TIMEOUT_S), ProfileSample
        )

    def versions(self, place: Workplace) -> dict[str, str]:
        """Versions in the environment."""
        installed = self._environment.versions(place.log(self._environment.name, "versions"))
        return {name: installed[name] for name in self.packages if name in installed}

    def _drive(
        self, place: Workplace, name: str, mode: str, folder: Path, request: Path, timeout_s: float
    ) -> Path:
        output = place.answer(name, mode)
        command: list[str | Path] = [self._environment.python, _DRIVERS / self.driver, mode, folder]
        run_child(
            [*command, request, output], log=place.log(name, mode), timeout_s=timeout_s, environment=OFFLINE
        )
        return output
