"""Cutting a text into windows that a model reads, each token scored once.

The sliding windows of Press et al. (2021, "Shortformer") and of Hugging Face's guide to perplexity: a window
begins every ``stride`` tokens, and of each only the tokens count that no window before it scored. All but the
first window's therefore have at least ``length - stride`` tokens of context. A stride as long as the window
gives windows that do not overlap, whose first tokens go unscored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """A stretch of a text.

    Attributes:
        ids: what the model reads.
        first_scored: position in it of the first token that counts; all after it do, too.
    """

    ids: tuple[int, ...]
    first_scored: int

    @property
    def scored(self) -> int:
        """How many tokens count."""
        return len(self.ids) - self.first_scored


def sliding_windows(
    ids: Sequence[int], length: int, stride: int, *, prefix: Sequence[int] = (), maximum: int | None = None
) -> list[Window]:
    """Windows over a text; none of a text whose tokens all lack context.

    Args:
        ids: the text's token ids.
        length: tokens of a window, the prefix included.
        stride: tokens from the beginning of a window to that of the next; at most those of a window without
            its prefix.
        prefix: what every window begins with and is not scored: a token that stands for a text's beginning.
        maximum: keep the first windows alone; None keeps all.
    """
    body = length - len(prefix)
    if body < 1 or not 1 <= stride <= body:
        raise ValueError(f"windows of {length} with a prefix of {len(prefix)} cannot advance by {stride}")
    windows: list[Window] = []
    scored_up_to = 0
    for begin in range(0, len(ids), stride):
        if scored_up_to == len(ids) or len(windows) == maximum:
            break
        end = min(begin + body, len(ids))
        # The first token of a text without a prefix has nothing that it could follow from.
        window = Window((*prefix, *ids[begin:end]), max(1, len(prefix) + max(scored_up_to, begin) - begin))
        if window.scored > 0:
            windows.append(window)
        scored_up_to = end
    return windows
