"""Perplexity of a model over a text, and how far an artifact's predictions are from its source's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from toolkit.artifact import Frozen
from toolkit.errors import UsageError
from toolkit.evaluate.intervals import Estimate, estimate
from toolkit.evaluate.likelihood import divergence, negative_log_likelihood, scored_logits
from toolkit.evaluate.request import WINDOW_TOKENS, TextRequest
from toolkit.evaluate.subject import Subject
from toolkit.evaluate.versions import versions_here
from toolkit.evaluate.windows import Window, sliding_windows
from toolkit.files import sha256_of
from toolkit.inference.decoder import Decoder
from toolkit.progress import ProgressCallback, silent

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class Sums:
    """One window's sums; see :class:`TextFigures`."""

    tokens: int
    nll: float
    source_nll: float = 0.0
    kl: float = 0.0
    top1: float = 0.0
    top5: float = 0.0


class TextFigures(Frozen):
    """What was measured over a text; None for the source's where nothing was compared.

    Attributes:
        target, source: what they are.
        text, text_sha256: the file.
        window_tokens, stride: how it was cut; see :mod:`toolkit.evaluate.windows`.
        windows, scored_tokens: how much of it was read.
        token_ids_sha256: of what was read; another tokenizer's windows are other stretches of the text. None
            of figures from before it was kept.
        perplexity, source_perplexity: the exponential of the mean negative log-likelihood per token.
        perplexity_ratio: the target's / the source's.
        mean_kl: KL(source || target) per position, nats.
        top1_agreement: share of positions where both find the same token the likeliest.
        top5_agreement: share where the source's likeliest is among the target's five likeliest.
        versions: of the engine, and of what read the text; of figures from before they were kept none.
        sums: those of each window, which are no part of the JSON.
    """

    target: str
    source: str | None
    text: str
    text_sha256: str
    window_tokens: int
    stride: int
    windows: int
    scored_tokens: int
    token_ids_sha256: str | None = None
    perplexity: Estimate
    source_perplexity: Estimate | None = None
    perplexity_ratio: Estimate | None = None
    mean_kl: Estimate | None = None
    top1_agreement: Estimate | None = None
    top5_agreement: Estimate | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    sums: tuple[Sums, ...] = Field((), exclude=True, repr=False)


def evaluate_text(
    subject: Subject,
    source: Subject | None,
    request: TextRequest,
    *,
    progress: ProgressCallback = silent,
) -> TextFigures:
    """Read a text with a model, and beside it with the model that it was made from.

    Args:
        subject: what is judged.
        source: what it is compared with; None for perplexity alone.
        request: the text and how to cut it.
        progress: called with (windows done, windows).

    Raises:
        UsageError: no such text, too short a text, or windows that cannot be.
        BadLogits: a model gives logits that are no numbers.
        SourceError: the source cannot be loaded.
        EngineFailed: the engine refuses the artifact, or ended its process.
    """
    text = readable(request.text)
    length, stride, windows = text_windows(subject, text, request)
    reference = source.open(length, request.dtype) if source is not None else None
    sums = []
    with subject.opened(length, request.dtype) as decoder:
        for window in windows:
            sums.append(_sums(subject.name, decoder, reference, window))
            progress(len(sums), len(windows))
    return TextFigures(
        target=subject.name,
        source=source.name if source is not None else None,
        text=text.name,
        text_sha256=sha256_of(text),
        window_tokens=length,
        stride=stride,
        windows=len(windows),
        scored_tokens=sum(one.tokens for one in sums),
        token_ids_sha256=hashlib.sha256(json.dumps([one.ids for one in windows]).encode()).hexdigest(),
        versions=versions_here(subject, *([source] if source is not None else [])),
        sums=tuple(sums),
        **figures(sums, compared=source is not None),
    )


def text_windows(subject: Subject, text: Path, request: TextRequest) -> tuple[int, int, list[Window]]:
    """A text cut for a model: tokens of a window, tokens from one to the next, and the windows.

    Raises:
        UsageError: too short a text, or windows that cannot be.
    """
    tokenizer = subject.tokenizer()
    prefix = beginning(tokenizer)
    longest = subject.context_length or request.window or WINDOW_TOKENS
    length = request.window or min(WINDOW_TOKENS, longest)
    if length > longest or length < len(prefix) + 2:
        raise UsageError(
            f"--window {length}: a window has {len(prefix) + 2} to {longest} tokens",
            subject=subject.name,
            next_step="Choose another --window, or convert with a larger --context.",
        )
    body = length - len(prefix)
    stride = request.stride or max(1, body // 2)
    if stride > body:
        raise UsageError(
            f"--stride {stride} would skip tokens: windows of {length} hold {body} tokens of the text",
            next_step=f"Choose a --stride of at most {body}.",
        )
    ids = tokenizer.encode(text.read_text(encoding="utf-8"), add_special_tokens=False).ids
    beyond = next((one for one in ids if one >= subject.vocab_size), None)
    if beyond is not None:
        raise UsageError(
            f"the text has the token {tokenizer.id_to_token(beyond)!r} ({beyond}), which the model has no "
            "embedding for",
            subject=subject.name,
            next_step="Leave it out of the text.",
        )
    windows = sliding_windows(ids, length, stride, prefix=prefix, maximum=request.windows)
    if not windows:
        raise UsageError(
            f"the text has {len(ids)} tokens, which leaves none to score",
            subject=str(text),
            next_step="Give a longer text: a few thousand words say something.",
        )
    return length, stride, windows


def beginning(tokenizer: Tokenizer) -> list[int]:
    """What the tokenizer puts in front of a text: the token of its beginning, or nothing."""
    ids: list[int] = tokenizer.encode("", add_special_tokens=True).ids
    # Some add a token at the end as well, which no text that goes on has.
    word = tokenizer.encode("a", add_special_tokens=True).ids
    return [one for one, other in zip(ids, word, strict=False) if one == other][:1]


def figures(sums: Sequence[Sums], *, compared: bool) -> dict[str, Estimate]:
    """Estimates by the names of :class:`TextFigures`."""
    tokens = [one.tokens for one in sums]
    nll = [one.nll for one in sums]
    found = {"perplexity": estimate(_perplexity, nll, tokens)}
    if compared:
        theirs = [one.source_nll for one in sums]
        found["source_perplexity"] = estimate(_perplexity, theirs, tokens)
        found["perplexity_ratio"] = estimate(lambda a, b, n: np.exp((a - b) / n), nll, theirs, tokens)
        found["mean_kl"] = estimate(_mean, [one.kl for one in sums], tokens)
        found["top1_agreement"] = estimate(_mean, [one.top1 for one in sums], tokens)
        found["top5_agreement"] = estimate(_mean, [one.top5 for one in sums], tokens)
    return found


def _sums(name: str, decoder: Decoder, reference: Decoder | None, window: Window) -> Sums:
    logits = scored_logits(decoder, window)
    nll = negative_log_likelihood(logits, window, subject=name)
    if reference is None:
        return Sums(window.scored, nll)
    theirs = scored_logits(reference, window)
    apart = divergence(theirs, logits, subject=name)
    source_nll = negative_log_likelihood(theirs, window, subject=f"the source of {name}")
    return Sums(window.scored, nll, source_nll, apart.kl, apart.top1, apart.top5)


def _perplexity(nll: NDArray[np.float64], tokens: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(nll / tokens))


def _mean(total: NDArray[np.float64], tokens: NDArray[np.float64]) -> NDArray[np.float64]:
    return total / tokens


def readable(text: Path | None) -> Path:
    """A text that is there and in UTF-8.

    Raises:
        UsageError: it is not.
    """
    if text is None or not text.is_file():
        raise UsageError(
            "no text to read" if text is None else "no such file",
            subject=str(text) if text else None,
            next_step="Pass --text FILE, a text in UTF-8.",
        )
    try:
        text.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"is not UTF-8: {error.reason} at byte {error.start}",
            subject=str(text),
            next_step="Give a text in UTF-8.",
        ) from None
    return text
