"""Questions that share beginnings, as tasks do, how answers are compared, and a cache without any."""

from __future__ import annotations

from pathlib import Path

from toolkit.evaluate.scoring import (
    Answer,
    ContinueAnswer,
    ContinueRequest,
    Request,
    ScoreAnswer,
    Scorer,
    ScoreRequest,
)

SHARED = (1, 40, 41, 42, 43, 44, 45, 46)


def questions(items: int = 6) -> list[Request]:
    """Multiple choice with continuations of one and more tokens, and some to continue."""
    asked: list[Request] = []
    for item in range(items):
        context = (*SHARED, *(50 + (7 * item + step) % 90 for step in range(5 + item % 3)))
        asked += [ScoreRequest((*context, *range(60 + c, 61 + 2 * c)), len(context)) for c in range(4)]
        if item % 3 == 0:
            asked.append(ContinueRequest(context, 6, (2,)))
    return asked


def answers(scorer: Scorer, asked: list[Request]) -> list[Answer]:
    found: dict[int, Answer] = {}
    scorer.answer(asked, lambda index, answer: found.update({index: answer}))
    return [found[index] for index in range(len(asked))]


def assert_alike(found: list[Answer], wanted: list[Answer], *, within: float = 1e-3) -> None:
    for one, other in zip(found, wanted, strict=True):
        if isinstance(other, ContinueAnswer):
            assert one == other
            continue
        assert isinstance(one, ScoreAnswer) and one.greedy == other.greedy
        pairs = zip(one.log_probabilities, other.log_probabilities, strict=True)
        assert max(abs(a - b) for a, b in pairs) < within


def share_cache(whole: Path, cache: Path) -> None:
    """Make a cache that shares everything with another but the answers that are kept there."""
    cache.mkdir(parents=True)
    # Those that this run would be the first to make are shared, too.
    for name in ("bundles", "engines", "onnxruntime-headers"):
        (whole / name).mkdir(parents=True, exist_ok=True)
    for entry in whole.iterdir():
        if entry.name != "evaluations":
            (cache / entry.name).symlink_to(entry)
