"""Texts to calibrate with: the user's, or what the model itself says when nobody asks it anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from toolkit.compress.parameters import Weights
from toolkit.compress.tensor import QuantizedTensor
from toolkit.errors import UsageError
from toolkit.inference.reference import streamed

# Few tokens do not calibrate: 1,024 were seen to gain next to nothing.
WINDOW_TOKENS = 256
WINDOWS = 16
FEWEST_WINDOWS = 8
GENERATED_TOKENS = 64
GENERATED_TEXTS = 64
# Each generated token reads every weight; those that fit in here are kept in memory meanwhile.
HELD_BYTES = 700_000_000
# What models call the state that they give back: keys and values, or that of a recurrence.
_STATES = ("past_key_values", "cache_params")


def windows(text: Path, tokenizer: Path, vocab_size: int) -> list[list[int]]:
    """The first WINDOWS windows of WINDOW_TOKENS tokens of a file.

    Args:
        text: the file.
        tokenizer: the model's tokenizer.json.
        vocab_size: rows of its embedding.

    Raises:
        UsageError: no such text, no tokenizer, fewer than FEWEST_WINDOWS windows, or a token without an
            embedding.
    """
    from tokenizers import Tokenizer

    if not text.is_file() or not tokenizer.is_file():
        missing = "the model has no tokenizer.json" if text.is_file() else "no such file"
        raise UsageError(
            f"--calibration {text}: {missing}",
            next_step="Name a text file, or leave the option out to let the model write its own.",
        )
    encoding = Tokenizer.from_file(str(tokenizer)).encode(text.read_text(errors="replace", encoding="utf-8"))
    ids = encoding.ids
    count = min(len(ids) // WINDOW_TOKENS, WINDOWS)
    if count < FEWEST_WINDOWS:
        raise UsageError(
            f"--calibration {text}: {len(ids)} tokens are too few",
            next_step=f"At least {FEWEST_WINDOWS * WINDOW_TOKENS} tokens calibrate; leave the option out to"
            " let the model write its own.",
        )
    for token_id, token in zip(ids[: count * WINDOW_TOKENS], encoding.tokens, strict=False):
        if token_id >= vocab_size:
            raise UsageError(
                f"--calibration {text}: its token {token!r} ({token_id}) is beyond the model's {vocab_size}",
                next_step="Name a text without it, or leave the option out to let the model write its own.",
            )
    return [ids[index * WINDOW_TOKENS : (index + 1) * WINDOW_TOKENS] for index in range(count)]


def generated(
    model: Any,
    weights: Weights,
    tied: Mapping[str, str],
    vocab_size: int,
    progress: Callable[[int, int], None],
) -> list[list[int]]:
    """GENERATED_TEXTS texts of GENERATED_TOKENS tokens, sampled by the model from random first tokens.

    As in LLM-QAT (Liu et al., 2023), without any data: what a model says by itself has the statistics of what
    it was trained on. Always the same texts for the same model.

    Args:
        model: a skeleton.
        weights: reads parameters as float32.
        tied: alias -> stored parameter.
        vocab_size: first tokens are drawn from all of it.
        progress: called with (tokens done per text, tokens per text).
    """
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(vocab_size, (GENERATED_TEXTS, 1), generator=generator)
    state: dict[str, Any] = {}
    with torch.no_grad(), streamed(model, _HeldWeights(weights), tied):
        while ids.shape[1] < GENERATED_TOKENS:
            # A model that gives no state reads the whole text again.
            given = ids[:, -1:] if state else ids
            output = model(given, use_cache=True, **state)
            state = {name: output[name] for name in _STATES if output.get(name) is not None}
            chances = output.logits[:, -1].float().softmax(dim=-1)
            ids = torch.cat([ids, torch.multinomial(chances, 1, generator=generator)], dim=1)
            progress(ids.shape[1], GENERATED_TOKENS)
    texts: list[list[int]] = ids.tolist()
    return texts


@dataclass
class _HeldWeights:
    """Keeps what it read, the first HELD_BYTES of it."""

    weights: Weights
    _held: dict[str, torch.Tensor] = field(default_factory=dict)
    _free_bytes: int = HELD_BYTES

    def read(self, name: str) -> torch.Tensor:
        """One parameter as float32."""
        if name in self._held:
            return self._held[name]
        tensor = self.weights.read(name)
        if tensor.nbytes <= self._free_bytes:
            self._held[name] = tensor
            self._free_bytes -= tensor.nbytes
        return tensor

    def read_blocks(self, name: str) -> QuantizedTensor | None:
        """The source's own integers."""
        return self.weights.read_blocks(name)
