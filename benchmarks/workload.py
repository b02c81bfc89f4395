"""What every engine has to do: the same tokens, the same counts, the same windows."""

from __future__ import annotations

from dataclasses import dataclass

# Windows do not overlap; the first token of each has no context and is not scored.
WINDOW_TOKENS = 512


@dataclass(frozen=True)
class Workload:
    """One run's work.

    Attributes:
        threads: threads of every engine, unless a row says "as shipped".
        rounds: fresh processes per engine, alternating.
        warmup: repetitions inside a process that do not count.
        repetitions: repetitions inside a process that do.
        windows: windows of the text that perplexity is taken over; None is all of them.
    """

    prompt_tokens: int = 512
    generate_tokens: int = 128
    threads: int = 2
    rounds: int = 5
    warmup: int = 1
    repetitions: int = 3
    windows: int | None = None

    @property
    def context_length(self) -> int:
        """Room for prompt and answer, and no more: the smallest KV cache that does the work."""
        return self.prompt_tokens + self.generate_tokens


def synthetic_tokens(count: int, vocab_size: int) -> list[int]:
    """The token ids that device_runner/session/tokens.cpp profiles with."""
    state = 1
    tokens = []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        tokens.append((state >> 33) % vocab_size)
    return tokens
