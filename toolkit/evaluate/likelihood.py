"""How likely a model finds a text, and how far its predictions are from another model's: per window."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from toolkit.errors import BadLogits
from toolkit.evaluate.windows import Window
from toolkit.inference.decoder import Decoder

# Rows of logits that are compared at once; vocabularies have hundreds of thousands of columns.
_ROWS = 32
_TOP = 5


def perplexity(negative_log_likelihood: float, tokens: int) -> float:
    """The exponential of the mean over scored tokens; the likelihood in nats."""
    return math.exp(negative_log_likelihood / tokens)


def scored_logits(decoder: Decoder, window: Window) -> torch.Tensor:
    """Logits that predict each scored token of a window, float32 [scored, vocab]."""
    decoder.reset()
    ids = window.ids[:-1]
    if decoder.every_position:
        return decoder.step(ids)[window.first_scored - 1 :]
    rows = [decoder.step(ids[: window.first_scored])[-1:].clone()]
    rows += [decoder.step([token])[-1:].clone() for token in ids[window.first_scored :]]
    return torch.cat(rows)


def negative_log_likelihood(logits: torch.Tensor, window: Window, *, subject: str) -> float:
    """Of the scored tokens, in nats.

    Args:
        logits: those that predict them, [scored, vocab].
        window: holds them.
        subject: the model, for the error.

    Raises:
        BadLogits: a logit is no number.
    """
    targets = torch.tensor(window.ids[window.first_scored :])
    total = 0.0
    for rows, wanted in zip(torch.split(logits, _ROWS), torch.split(targets, _ROWS), strict=True):
        total += float(torch.nn.functional.cross_entropy(rows.double(), wanted, reduction="sum"))
    if not math.isfinite(total):
        raise BadLogits.of(subject)
    return total


@dataclass(frozen=True)
class Divergence:
    """Sums over the scored positions of a window.

    Attributes:
        kl: KL(reference || model), nats.
        top1: positions where both find the same token the likeliest.
        top5: positions where the reference's likeliest token is among the model's five likeliest.
    """

    kl: float
    top1: float
    top5: float


def divergence(reference: torch.Tensor, logits: torch.Tensor, *, subject: str) -> Divergence:
    """How far a model's predictions are from a reference's.

    Args:
        reference: its logits [positions, vocab].
        logits: the model's, of the same shape.
        subject: the model, for the error.

    Raises:
        BadLogits: a logit is no number.
    """
    kl, top1, top5 = 0.0, 0, 0
    for theirs, ours in zip(torch.split(reference, _ROWS), torch.split(logits, _ROWS), strict=True):
        log_p, log_q = theirs.log_softmax(-1), ours.log_softmax(-1)
        kl += float((log_p.exp() * (log_p - log_q)).sum(-1).double().sum())
        likeliest = theirs.argmax(-1, keepdim=True)
        best = ours.topk(min(_TOP, ours.shape[-1]), dim=-1).indices
        top1 += int((best[:, :1] == likeliest).sum())
        top5 += int((best == likeliest).any(-1).sum())
    if not math.isfinite(kl):
        raise BadLogits.of(subject)
    return Divergence(kl, float(top1), float(top5))
