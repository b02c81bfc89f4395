"""How long a text an artifact is made for."""

from __future__ import annotations

from toolkit.errors import ContextTooLong, UnsupportedModel, UsageError

# Long enough for a chat on a phone; models trained for less get less.
DEFAULT_CONTEXT = 4096
# What a trace and its judge need.
_SHORTEST = 8


def context_length(asked: int | None, limit: int | None, *, subject: str, whole: int | None = None) -> int:
    """Tokens of prompt and answer together.

    Args:
        asked: as the request has it.
        limit: positions that the model was trained for; None where any text is as good as a short one.
        subject: the model's name, for messages.
        whole: the longest text of which each token attends to all before it; None where none is chosen.

    Raises:
        UnsupportedModel: one that has no texts, by its config, or that would choose tokens to attend to.
        ContextTooLong: more than the model was trained for.
        UsageError: fewer than one token.
    """
    if limit is not None and limit < _SHORTEST:
        raise UnsupportedModel(
            f"is made for texts of {limit} tokens (max_position_embeddings), not of {_SHORTEST} at least",
            subject=subject,
            next_step="Correct max_position_embeddings in its config, or choose another model.",
        )
    if asked is None:
        return _chosen_all(min(DEFAULT_CONTEXT, limit or DEFAULT_CONTEXT), whole, subject)
    if asked < 1:
        raise UsageError(
            f"--context {asked}: at least 1 token", next_step="Pass --context 1 or more, or leave it out."
        )
    if limit is not None and asked > limit:
        raise ContextTooLong(
            f"context {asked} is longer than the {limit} positions the model was trained for",
            subject=subject,
            next_step=f"Pass --context {limit} or less.",
        )
    return _chosen_all(asked, whole, subject)


def _chosen_all(context: int, whole: int | None, subject: str) -> int:
    if whole is not None and context > whole:
        raise UnsupportedModel(
            f"attends to {whole} tokens that it chooses for each token, for which there is no operator; in a "
            f"text of {whole} tokens it attends to all",
            subject=subject,
            next_step=f"Pass --context {whole} or less.",
        )
    return context
