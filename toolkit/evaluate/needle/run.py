"""The grid of lengths and depths on a model: transformers, or an artifact in the runner."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from toolkit.errors import ContextTooShort
from toolkit.evaluate.needle.grid import given_depths, given_lengths
from toolkit.evaluate.needle.haystack import KINDS, Hidden, Kind, hide, prompts, text
from toolkit.evaluate.needle.needle_scores import NeedleFigures, NeedleScore, means_of, middle_of
from toolkit.evaluate.on_device.asking import UNKNOWN_CONTEXT, asking, where
from toolkit.evaluate.request import NeedleRequest
from toolkit.evaluate.scoring import ContinueAnswer, ContinueRequest, Request
from toolkit.evaluate.subject import Subject
from toolkit.evaluate.text import beginning
from toolkit.evaluate.versions import versions_asked
from toolkit.progress import ProgressCallback, silent
from toolkit.settings import Settings

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Enough for a number of four digits and a word or two before it.
_ANSWER_TOKENS = 12
_SHORTEST = 128


def evaluate_needle(
    subject: Subject, request: NeedleRequest, settings: Settings, *, progress: ProgressCallback = silent
) -> NeedleFigures:
    """Ask for facts hidden at every depth of texts of every length.

    Args:
        subject: the model.
        request: lengths, depths and trials.
        settings: caches; answers are kept there.
        progress: called with (questions answered, questions).

    Raises:
        ContextTooShort: a length that the model cannot hold.
        UsageError: lengths or depths that cannot be read.
        DeviceError: the device failed; what it answered is kept.
    """
    started = time.monotonic()
    tokenizer = subject.tokenizer()
    lengths = lengths_of(request, subject)
    depths = given_depths(request.depths)
    cells: list[tuple[Kind, int, float, str]] = []
    asked: list[Request] = []
    haystack = _encode(tokenizer, text())
    for kind in KINDS:
        for length in lengths:
            for depth in depths:
                for trial in range(request.trials):
                    hidden = hide(kind, 1000 * request.seed + trial)
                    ids = _prompts(subject, hidden, haystack, tokenizer, length - _ANSWER_TOKENS, depth)
                    for question, tokens in zip(hidden.questions, ids, strict=True):
                        cells.append((kind, length, depth, question.answer))
                        asked.append(ContinueRequest(tokens, _ANSWER_TOKENS))
    answers = asking(subject, request, settings, progress).answers(asked)
    found: dict[tuple[Kind, int, float], list[bool]] = defaultdict(list)
    for (kind, length, depth, wanted), answer in zip(cells, answers, strict=True):
        assert isinstance(answer, ContinueAnswer)
        found[kind, length, depth].append(wanted in tokenizer.decode(list(answer.token_ids)))
    scores = [
        NeedleScore(kind=kind, length=length, depth=depth, value=fmean(right), n=len(right))
        for (kind, length, depth), right in found.items()
    ]
    means = means_of(scores)
    middle, outside = middle_of(scores)
    return NeedleFigures(
        target=subject.name,
        artifact_sha256=subject.artifact.manifest.sha256 if subject.artifact else None,
        where=where(subject, request),
        scores=scores,
        means=means,
        mean=fmean(means.values()),
        middle=middle,
        outside=outside,
        trials=request.trials,
        seed=request.seed,
        versions=versions_asked(subject, "tokenizers"),
        seconds=round(time.monotonic() - started, 3),
    )


def lengths_of(request: NeedleRequest, subject: Subject) -> list[int]:
    """Lengths in tokens, each about twice the one before, up to the context, unless they are given."""
    limit = subject.context_length or UNKNOWN_CONTEXT
    lengths = given_lengths(request.lengths)
    if lengths is None:
        found = [limit]
        while len(found) < 5 and found[0] // 2 >= _SHORTEST:
            found.insert(0, found[0] // 2)
        return found
    if lengths[-1] > limit:
        raise ContextTooShort(
            f"--lengths {request.lengths}: its context length is {limit}",
            subject=subject.name,
            next_step=f"Ask for lengths of up to {limit}, or convert with a larger --context.",
        )
    return lengths


def _prompts(
    subject: Subject,
    hidden: Hidden,
    haystack: Sequence[int],
    tokenizer: Tokenizer,
    length: int,
    depth: float,
) -> list[tuple[int, ...]]:
    try:
        return prompts(
            hidden, haystack, lambda words: _encode(tokenizer, words), beginning(tokenizer), length, depth
        )
    except ValueError as error:
        raise ContextTooShort(
            f"{error}, question and answer",
            subject=subject.name,
            next_step="Ask for longer texts: --lengths, or convert with a larger --context.",
        ) from None


def _encode(tokenizer: Tokenizer, words: str) -> list[int]:
    ids: list[int] = tokenizer.encode(words, add_special_tokens=False).ids
    return ids
