"""A new artifact is tried on this host: compared with the original, and asked for its greedy reference."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.artifact import GreedyReference, Parity
from toolkit.capture.rope import first_long_position
from toolkit.engines.spec import EngineSpec
from toolkit.errors import EngineFailed, ParityFailed
from toolkit.evaluate import parity
from toolkit.inference.apart import decoder_apart
from toolkit.inference.reference import reference_logits

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from toolkit.sources import ModelSource


def try_out(
    source: ModelSource,
    skeleton: PreTrainedModel,
    folder: Path,
    given: parity.ParityIds,
    tied: Mapping[str, str],
    context: int,
    limit: parity.Threshold | None,
    engine: EngineSpec,
) -> tuple[Parity | None, GreedyReference]:
    """Run what was written; None for the agreement when it is not asked for.

    Args:
        source: the original.
        skeleton: it without weights.
        folder: the artifact, its manifest still missing.
        given: the texts to compare, and the greedy prompt.
        tied: alias -> stored parameter.
        context: tokens that the artifact is made for.
        limit: what counts as agreement; None for no comparison, which loads nothing of the original.
        engine: that runs it.

    Raises:
        ParityFailed: it says something else than the original.
        EngineFailed: the engine cannot run it; its process is another one than ours.
        SourceError: its makers' own code cannot load the original.
    """
    length = min(len(given.texts[0]), context)
    ids = [text[:length] for text in given.texts]
    prompt = given.prompt[: max(1, context - 1)]
    tokens = max(1, min(parity.GREEDY_TOKENS, context - len(prompt)))
    first = first_long_position(source.config, context)
    if first:
        print(
            f"{source.name}: texts of every length get longrope's long factors; transformers takes the short "
            f"ones up to {first} tokens, as --context {first} does",
            file=sys.stderr,
        )
    agreement, expected = None, None
    if limit is not None:
        # Before the engine is loaded: both at once would need more memory.
        expected = reference_logits(source, skeleton, tied, ids, first_position=first)
    try:
        with decoder_apart(engine, folder, max(length, len(prompt) + tokens)) as decoder:
            if limit is not None and expected is not None:
                agreement = parity.measure(expected, decoder, ids, limit)
                if not agreement.passed:
                    raise _disagreement(agreement, source.name, quantized=limit.max_abs_diff is None)
            return agreement, parity.greedy_reference(decoder, prompt, tokens)
    except EngineFailed as error:
        error.subject = error.subject or source.name
        raise


def _disagreement(agreement: Parity, subject: str, *, quantized: bool) -> ParityFailed:
    if not math.isfinite(agreement.mean_kl):
        return ParityFailed(
            "its logits are no numbers",
            subject=subject,
            next_step="Get the model again: weights or config are damaged. Or convert it all the same, with "
            "--no-parity-check.",
        )
    remedy = (
        "Use more bits or smaller groups"
        if quantized
        else "Nothing was quantized, so that more bits do not help: take another --backend"
    )
    return ParityFailed(
        f"the artifact disagrees with transformers: mean KL {agreement.mean_kl:.4g}, "
        f"max abs diff {agreement.max_abs_diff:.4g}, allowed {agreement.threshold}",
        subject=subject,
        next_step=f"{remedy}, or pass --no-parity-check to convert without comparing.",
    )
