"""What a step will take: seconds, disk and memory. From this workspace's own past where it has one."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from toolkit.compress.presets import PRESETS
from toolkit.compress.schemes import SCHEMES
from toolkit.recipes.workspace import StepRecord

# Measured on one core of a 2.1 GHz Xeon; the first real steps replace them.
_IMPORTS_BYTES = 450e6
_CONVERT_START_S = 0.3
_CONVERT_PARAMETERS_PER_SECOND = 8e6
# float32 copies of the largest matrix that quantizing, writing and checking parity hold at once.
_LARGEST_MATRIX_COPIES = 6
_PROFILE_START_S = 3.0
# Multiply-adds of a small core, and bytes of its memory.
_PREFILL_PER_SECOND = 60e9
_DECODE_BYTES_PER_SECOND = 8e9


@dataclass(frozen=True)
class Estimate:
    """What a step is expected to take.

    Attributes:
        seconds: wall-clock time.
        disk_bytes: what it leaves on disk.
        ram_bytes: most memory at once.
    """

    seconds: float = 0.0
    disk_bytes: int = 0
    ram_bytes: int = 0


@dataclass(frozen=True)
class ModelSize:
    """A decoder's size as its config tells it; gated feed-forward and head_dim as in llama."""

    parameters: int
    largest_matrix: int

    @classmethod
    def of(cls, fields: dict[str, Any]) -> ModelSize:
        """From config fields; without any, a model of 1e9 parameters is assumed."""
        text = fields.get("text_config")
        fields = text if isinstance(text, dict) else fields
        if "file_bytes" in fields:
            # A GGUF file has four and a half bits per weight or more.
            parameters = int(fields["file_bytes"] * 8 / 4.5)
            return cls(parameters, parameters // 5)
        try:
            hidden = int(fields.get("hidden_size") or fields["n_embd"])
            layers = int(fields.get("num_hidden_layers") or fields["n_layer"])
            vocabulary = int(fields["vocab_size"])
            heads = int(fields.get("num_attention_heads") or fields["n_head"])
            inner = int(fields.get("intermediate_size") or fields.get("n_inner") or 4 * hidden)
            head_dim = int(fields.get("head_dim") or hidden // heads)
            kv_heads = int(fields.get("num_key_value_heads") or heads)
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            return cls(1_000_000_000, 200_000_000)
        gated = 2 if "n_embd" in fields else 3
        layer = 2 * hidden * head_dim * (heads + kv_heads) + gated * hidden * inner
        tables = 1 if fields.get("tie_word_embeddings", True) else 2
        return cls(layers * layer + tables * vocabulary * hidden, max(vocabulary, inner) * hidden)


@dataclass
class History:
    """Seconds and memory of steps that were done, by what they are comparable in."""

    seconds: dict[tuple[str, ...], list[float]] = field(default_factory=dict)
    ram_bytes: dict[tuple[str, ...], list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[StepRecord]) -> History:
        """From a workspace's records."""
        history = cls()
        for record in records:
            result = record.result or {}
            alike = result.get("alike")
            if record.last.outcome == "done" and alike:
                # A conversion's own clock leaves out what only the first one pays: importing the libraries.
                seconds = result.get("seconds", record.last.seconds)
                if seconds is not None:
                    history.seconds.setdefault(tuple(alike), []).append(float(seconds))
                if peak := result.get("peak_bytes"):
                    history.ram_bytes.setdefault(tuple(alike), []).append(float(peak))
        return history

    def corrected(self, guess: Estimate, alike: tuple[str, ...]) -> Estimate:
        """The guess, with what was really measured in its place where there is something."""
        seconds, ram = self.seconds.get(alike), self.ram_bytes.get(alike)
        return Estimate(
            statistics.median(seconds) if seconds else guess.seconds,
            guess.disk_bytes,
            # The most, not the median: this one decides whether a step may start.
            int(max(ram)) if ram else guess.ram_bytes,
        )


def conversion_estimate(size: ModelSize, quant: str, backend: str) -> Estimate:
    """A first guess for a conversion."""
    return Estimate(
        seconds=_CONVERT_START_S + size.parameters / _CONVERT_PARAMETERS_PER_SECOND,
        disk_bytes=artifact_bytes(size, quant),
        ram_bytes=int(_IMPORTS_BYTES + 4 * _LARGEST_MATRIX_COPIES * size.largest_matrix),
    )


def artifact_bytes(size: ModelSize, quant: str) -> int:
    """Bytes of an artifact: weights with a scale and an offset per group, tokenizer and graph."""
    return int(size.parameters * _bits(quant) / 8 * 1.1) + 2_000_000


def profile_estimate(
    size: ModelSize, quant: str, *, prompt_tokens: int, generate_tokens: int, depth: int, repetitions: int
) -> Estimate:
    """A first guess for a profile run."""
    prefill = (prompt_tokens + depth) * size.parameters / _PREFILL_PER_SECOND
    decode = generate_tokens * artifact_bytes(size, quant) / _DECODE_BYTES_PER_SECOND
    return Estimate(_PROFILE_START_S + repetitions * (prefill + decode), 200_000, artifact_bytes(size, quant))


def _bits(quant: str) -> float:
    if quant in PRESETS:
        quant = PRESETS.get(quant).linear.scheme
    bits = SCHEMES.get(quant).weight_bits if quant in SCHEMES else 8
    return bits + 0.6 if bits < 16 else bits
