"""What a conversion's agreement with the original means, in words.

The limits are divergences per position, KL(original || artifact) in nats, as parity measures them. What they
stand for in perplexity was measured per number of bits: docs/quantization.md, Verdicts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from toolkit.artifact import Manifest, Parity

Word = Literal["good", "usable", "damaged"]
# Upper limits. Within about 2 % and 12 % of the original's perplexity on the demo model.
GOOD_MEAN_KL = 0.03
USABLE_MEAN_KL = 0.15


@dataclass(frozen=True)
class Verdict:
    """A word and what it stands for."""

    word: Word
    meaning: str


_MEANINGS: dict[Word, str] = {
    "good": "says what the original says",
    "usable": "slightly worse than the original",
    "damaged": "clearly worse than the original: use more bits, or --quant mobile-8bit",
}


def verdict(agreement: Parity) -> Verdict:
    """What an artifact is good for."""
    word: Word = "damaged"
    if agreement.mean_kl <= GOOD_MEAN_KL:
        word = "good"
    elif agreement.mean_kl <= USABLE_MEAN_KL:
        word = "usable"
    return Verdict(word, _MEANINGS[word])


def in_a_word(manifest: Manifest) -> str:
    """The verdict on an artifact where there is little room, and why there is none."""
    if manifest.parity is None:
        return "not compared"
    return "random weights" if manifest.source.kind == "random" else verdict(manifest.parity).word


def in_words(manifest: Manifest) -> str:
    """The verdict on an artifact, and what it means."""
    if manifest.parity is None:
        return "none: not compared with the original (--no-parity-check)"
    found = verdict(manifest.parity)
    random = "; random weights, so this says nothing about a trained model"
    return f"{found.word} - {found.meaning}{random if manifest.source.kind == 'random' else ''}"
