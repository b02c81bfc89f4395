"""The verdict's limits lie between what was measured to be good, usable and damaged."""

from __future__ import annotations

import pytest

from toolkit.artifact import Parity
from toolkit.evaluate.verdict import GOOD_MEAN_KL, USABLE_MEAN_KL, verdict


def agreement(mean_kl: float) -> Parity:
    return Parity(
        positions=36, max_abs_diff=1.0, mean_kl=mean_kl, top1_agreement=0.9, threshold="", passed=True
    )


@pytest.mark.parametrize(
    ("mean_kl", "word"),
    [(0.0, "good"), (GOOD_MEAN_KL, "good"), (0.031, "usable"), (USABLE_MEAN_KL, "usable"), (0.16, "damaged")]
    + [(float("nan"), "damaged")],
)
def test_a_verdict_is_a_word(mean_kl: float, word: str) -> None:
    found = verdict(agreement(mean_kl))
    assert found.word == word
    assert found.meaning
