from __future__ import annotations

from pathlib import Path

import pytest
from benchmark_samples import sample

from benchmarks import schedule
from benchmarks.errors import PeerFailed
from benchmarks.kept import KeptAnswers
from benchmarks.peers.base import Workplace
from benchmarks.samples import ConversionCost, ProfileSample, Score
from benchmarks.schedule import order_of_round, run_all
from benchmarks.workload import Workload
from toolkit.errors import BuildFailed


class FakePeer:
    """A peer that does the work at once, or fails where it is told to."""

    engine = "onnxruntime"
    notes = "none"

    def __init__(
        self, name: str, journal: list[str], *, fail_at: str = "", error: Exception | None = None
    ) -> None:
        self.name = name
        self.title = name
        self._journal = journal
        self._fail_at = fail_at
        self._error = error or PeerFailed("it broke")

    def _step(self, stage: str) -> None:
        self._journal.append(f"{self.name} {stage}")
        if stage == self._fail_at:
            raise self._error

    def prepare(self, place: Workplace) -> list[ConversionCost]:
        self._step("prepare")
        return [ConversionCost(label="convert", seconds=1.0, peak_rss_bytes=10)]

    def files_bytes(self) -> int:
        return 1000

    def versions(self, place: Workplace) -> dict[str, str]:
        return {"fake": "1"}

    def profile(self, place: Workplace) -> ProfileSample:
        self._step("profile")
        return sample(10, 1)

    def perplexity(self, place: Workplace) -> Score:
        self._step("perplexity")
        return Score(negative_log_likelihood=1.0, scored_tokens=sum(len(w) - 1 for w in place.windows))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.setattr(schedule, "cpu_busy", lambda: 0.0)
    workload = Workload(prompt_tokens=100, generate_tokens=4, rounds=3, warmup=1, repetitions=2)
    kept = KeptAnswers(tmp_path / "kept")
    return Workplace(
        tmp_path, tmp_path / "m.gguf", "ab" * 32, tmp_path / "hf", workload, 1000, [[1, 2, 3]], kept
    )


def test_engines_take_turns_and_every_round_starts_with_another(place):
    journal: list[str] = []
    rows = run_all([FakePeer(name, journal) for name in "abc"], place)
    timed = [entry.split()[0] for entry in journal if entry.endswith("profile")]
    assert "".join(timed) == "abc" + "bca" + "cab"
    assert [len(row.rounds) for row in rows] == [3, 3, 3]
    assert [entry.position for entry in rows[0].rounds] == [0, 2, 1]
    assert all(row.failure is None and row.score is not None for row in rows)


@pytest.mark.parametrize(
    ("stage", "timed_rounds", "said"),
    [
        ("prepare", 0, "prepare: it broke"),
        ("profile", 0, "round 1 of 3: it broke"),
        ("perplexity", 3, "perplexity: it broke"),
    ],
)
def test_a_failing_peer_keeps_what_it_has_and_leaves_the_others_alone(place, stage, timed_rounds, said):
    journal: list[str] = []
    rows = run_all([FakePeer("bad", journal, fail_at=stage), FakePeer("good", journal)], place)
    assert rows[0].failure == said
    assert len(rows[0].rounds) == timed_rounds
    assert rows[1].failure is None
    assert len(rows[1].rounds) == 3
    assert journal.count(f"bad {stage}") == 1


def test_a_toolkit_error_fails_its_row_only(place):
    rows = run_all([FakePeer("bad", [], fail_at="prepare", error=BuildFailed("no compiler"))], place)
    assert rows[0].failure == "prepare: no compiler"


def test_a_bug_is_not_hidden_in_a_row(place):
    with pytest.raises(ZeroDivisionError):
        run_all([FakePeer("bad", [], fail_at="profile", error=ZeroDivisionError())], place)


def test_a_score_over_other_tokens_is_refused(place):
    class Short(FakePeer):
        def perplexity(self, place: Workplace) -> Score:
            return Score(negative_log_likelihood=1.0, scored_tokens=1)

    assert run_all([Short("short", [])], place)[0].failure == "perplexity: scored 1 tokens of 2"


def test_over_as_many_rounds_as_peers_everyone_has_every_position():
    orders = [order_of_round(4, index) for index in range(4)]
    for peer in range(4):
        assert sorted(order.index(peer) for order in orders) == [0, 1, 2, 3]
