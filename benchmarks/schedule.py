"""Prepares the rows, then lets them take turns; what goes wrong with one stays in its row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from benchmarks.errors import PeerFailed
from benchmarks.machine import cpu_busy
from benchmarks.peers.base import Peer, Workplace
from benchmarks.results import Round, Row
from benchmarks.samples import ConversionCost, ProfileSample, Score, check_counts
from benchmarks.statistics import decode_rates, prefill_rates, summarize
from toolkit.errors import ToolkitError


@dataclass
class _Progress:
    """What is known about one peer so far."""

    peer: Peer
    files_bytes: int | None = None
    conversions: list[ConversionCost] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    score: Score | None = None
    versions: dict[str, str] = field(default_factory=dict)
    failure: str | None = None

    def row(self) -> Row:
        peer = self.peer
        return Row(
            name=peer.name,
            title=peer.title,
            engine=peer.engine,
            notes=peer.notes,
            files_bytes=self.files_bytes,
            conversions=self.conversions,
            rounds=self.rounds,
            score=self.score,
            versions=self.versions,
            failure=self.failure,
        )


def order_of_round(count: int, index: int) -> list[int]:
    """Positions of one round: each round starts one later, so nobody always runs after the same neighbour."""
    return [(index + offset) % count for offset in range(count)]


def run_all(peers: Sequence[Peer], place: Workplace) -> list[Row]:
    """Prepare, time in turns, score. A peer that fails once is left out from there on."""
    states = [_Progress(peer) for peer in peers]
    for state in states:
        _attempt(state, "prepare", partial(_prepare, place=place))
    for index in range(place.workload.rounds):
        stage = f"round {index + 1} of {place.workload.rounds}"
        for position, chosen in enumerate(order_of_round(len(states), index)):
            _attempt(states[chosen], stage, partial(_time, place=place, index=index, position=position))
    for state in states:
        _attempt(state, "perplexity", partial(_score, place=place))
    return [state.row() for state in states]


def _attempt(state: _Progress, stage: str, action: Callable[[_Progress], str]) -> None:
    if state.failure is not None:
        return
    try:
        said = action(state)
    except (PeerFailed, ToolkitError) as error:
        # The rest, such as a compiler's output, is for the terminal.
        state.failure = f"{stage}: {str(error).splitlines()[0]}"
        said = f"FAILED: {error}"
    print(f"{state.peer.title}: {stage}: {said}", flush=True)


def _prepare(state: _Progress, place: Workplace) -> str:
    state.conversions = state.peer.prepare(place)
    state.files_bytes = state.peer.files_bytes()
    state.versions = state.peer.versions(place)
    costs = [f"{cost.label} {cost.seconds:.1f} s" for cost in state.conversions]
    return ", ".join([f"{state.files_bytes / 1e6:.1f} MB", *costs])


def _time(state: _Progress, place: Workplace, index: int, position: int) -> str:
    busy = cpu_busy()
    sample = check_counts(
        state.peer.profile(place),
        warmup=place.workload.warmup,
        repetitions=place.workload.repetitions,
        generate_tokens=place.workload.generate_tokens,
    )
    state.rounds.append(Round(round=index, position=position, busy_before=busy, sample=sample))
    return _rates(sample, place.workload.prompt_tokens)


def _rates(sample: ProfileSample, prompt_tokens: int) -> str:
    prefill = summarize(prefill_rates(sample, prompt_tokens)).median
    decode = summarize(decode_rates(sample)).median
    return f"prefill {prefill:.0f} tok/s, decode {decode:.1f} tok/s"


def _score(state: _Progress, place: Workplace) -> str:
    score = state.peer.perplexity(place)
    expected = sum(len(window) - 1 for window in place.windows)
    if score.scored_tokens != expected:
        raise PeerFailed(f"scored {score.scored_tokens} tokens of {expected}")
    state.score = score
    return f"{score.perplexity:.3f}"
