"""Does the artifact say what the original model says? Measured on every conversion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from toolkit.artifact import GreedyReference, Parity, TensorQuantization
from toolkit.compress.schemes import SCHEMES
from toolkit.inference.decoder import Decoder
from toolkit.sources.token_checks import check_embedded

# Written for this project: prose, code, dialogue and numbers.
TEXTS = (
    "The river had risen in the night, and by morning the lower meadow was a sheet of grey water in which "
    "the willows stood up to their knees. Nobody in the village was surprised; it happened every spring.",
    "def moving_average(values, window):\n    total = 0.0\n    for index, value in enumerate(values):\n"
    "        total += value\n        if index >= window:\n            total -= values[index - window]\n",
    '"Have you seen the keys?" she asked from the hallway. "They were on the kitchen table an hour ago, next '
    'to the bread." He looked up from the newspaper and said that he had not moved anything since breakfast.',
    "In 1969 the first two people walked on the Moon. They stayed for 21 hours and 36 minutes, collected "
    "21.5 kilograms of rock, and returned to Earth on July 24, eight days after they had left Florida.",
)
TEXT_TOKENS = 32
DECODE_STEPS = 8
GREEDY_PROMPT = "The capital of France is"
GREEDY_TOKENS = 32


@dataclass(frozen=True)
class Threshold:
    """What counts as agreement.

    Attributes:
        max_abs_diff: of any logit; None where quantization makes it meaningless.
        mean_kl: nats per position.
    """

    max_abs_diff: float | None
    mean_kl: float

    def __str__(self) -> str:
        limits = [f"mean KL <= {self.mean_kl:g}"]
        if self.max_abs_diff is not None:
            limits.insert(0, f"max abs diff <= {self.max_abs_diff:g}")
        return ", ".join(limits)


def threshold(specs: Iterable[TensorQuantization]) -> Threshold:
    """The limit for the coarsest scheme in use.

    A conversion gone wrong (swapped weights, wrong rotation) is off by several nats; plain 4-bit rounding of
    a 135M model costs about 0.3. The limits lie between the two.
    """
    bits = min(SCHEMES.get(spec.scheme).weight_bits for spec in specs)
    return {
        32: Threshold(1e-3, 1e-5),
        16: Threshold(None, 1e-2),
        8: Threshold(None, 0.15),
        4: Threshold(None, 1.0),
    }[bits]


def measure(
    reference: torch.Tensor, decoder: Decoder, ids: Sequence[Sequence[int]], limit: Threshold
) -> Parity:
    """Compare prefill and DECODE_STEPS forced decode steps per text.

    Args:
        reference: logits of the original model, float32 [texts, length, vocab].
        decoder: the artifact in its engine.
        ids: the texts' token ids.
        limit: decides ``passed``.
    """
    ours, theirs = [], []
    for text, expected in zip(ids, reference, strict=True):
        prefill = max(1, len(text) - DECODE_STEPS)
        decoder.reset()
        rows = [decoder.step(text[:prefill])[-1:]] + [decoder.step([token]) for token in text[prefill:]]
        ours.append(torch.cat(rows))
        theirs.append(expected[prefill - 1 :])
    actual, wanted = torch.cat(ours), torch.cat(theirs)
    log_p, log_q = wanted.log_softmax(-1), actual.log_softmax(-1)
    difference = float((actual - wanted).abs().max())
    # Rounding may leave a little less than nothing.
    mean_kl = float((log_p.exp() * (log_p - log_q)).sum(-1).mean().clamp_min(0))
    agreement = float((actual.argmax(-1) == wanted.argmax(-1)).float().mean())
    # NaN compares false, so broken logits never pass.
    passed = mean_kl <= limit.mean_kl and (limit.max_abs_diff is None or difference <= limit.max_abs_diff)
    return Parity(
        positions=actual.shape[0],
        max_abs_diff=difference,
        mean_kl=mean_kl,
        top1_agreement=agreement,
        threshold=str(limit),
        passed=passed,
    )


def greedy_reference(decoder: Decoder, prompt: Sequence[int], tokens: int = GREEDY_TOKENS) -> GreedyReference:
    """Continue a prompt greedily with the artifact on this host."""
    decoder.reset()
    ids = [int(decoder.step(list(prompt))[-1].argmax())]
    while len(ids) < tokens:
        ids.append(int(decoder.step(ids[-1:])[-1].argmax()))
    return GreedyReference(prompt_ids=list(prompt), token_ids=ids)


@dataclass(frozen=True)
class ParityIds:
    """What an artifact and the original are compared with.

    Attributes:
        texts: TEXT_TOKENS token ids of each text.
        prompt: token ids that the artifact continues greedily.
    """

    texts: list[list[int]]
    prompt: list[int]


def parity_ids(folder: Path, vocab_size: int, *, subject: str) -> ParityIds:
    """The texts, by the artifact's own tokenizer.

    A model whose tokenizer is missing or cannot say these texts gets fixed pseudo-random ids instead.

    Raises:
        SourceError: the tokenizer gives them tokens that the model does not have.
    """
    file = folder / "tokenizer.json"
    if file.is_file():
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(file))
        texts = [tokenizer.encode(text).ids[:TEXT_TOKENS] for text in TEXTS]
        prompt = tokenizer.encode(GREEDY_PROMPT).ids
        if prompt and all(len(ids) == TEXT_TOKENS for ids in texts):
            check_embedded(
                (token_id for ids in (*texts, prompt) for token_id in ids), vocab_size, subject=subject
            )
            return ParityIds(texts, prompt)
    generator = torch.Generator().manual_seed(0)
    ids: list[list[int]] = torch.randint(
        vocab_size, (len(TEXTS) + 1, TEXT_TOKENS), generator=generator
    ).tolist()
    return ParityIds(ids[:-1], ids[-1][:8])
