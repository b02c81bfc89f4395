"""The runner's llama::update_cache and llama::custom_sdpa against torch, called by name."""

from __future__ import annotations

import math
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

pytestmark = [
    pytest.mark.skipif(find_spec("executorch") is None, reason="the extra [executorch] is not installed"),
    pytest.mark.timeout(900),
]

# What the issue asks for is 1e-4; the kernels stay well below.
TOLERANCE = 2e-5


@dataclass(frozen=True)
class Case:
    """One call of custom_sdpa on a cache of ``capacity`` positions; ``window`` makes it use a mask."""

    tokens: int = 1
    start: int = 0
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 32
    capacity: int = 700
    causal: bool = True
    window: int = 0
    deviation: float = 1.0


CASES = [
    *(
        Case(tokens, start, heads, kv_heads)
        for heads, kv_heads in ((4, 4), (9, 3), (8, 1))
        for tokens, start in ((1, 0), (1, 1), (1, 300), (2, 62), (5, 63), (64, 0), (65, 64), (300, 17))
    ),
    *(Case(tokens, 70, 6, 2, dim) for dim in (4, 16, 20, 64, 80, 96, 128, 256) for tokens in (1, 7)),
    *(Case(tokens, start, causal=False) for tokens, start in ((1, 40), (9, 0), (70, 130))),
    *(
        Case(tokens, start, 4, 1, causal=False, window=window)
        for window in (1, 5, 64, 1000)
        for tokens, start in ((1, 0), (1, 200), (3, 10), (90, 33), (250, 250))
    ),
    Case(3, 7, capacity=10),
    Case(100, 400, 6, 2, 64, deviation=8.0),
]


@pytest.fixture(scope="module")
def program(programs: Path) -> Path:
    return programs / "executorch_operators"


def states(case: Case, positions: int, heads: int, generator: torch.Generator) -> torch.Tensor:
    normal = torch.randn(positions, heads, case.head_dim, generator=generator)
    return normal * math.sqrt(case.deviation)


def mask_of(case: Case) -> torch.Tensor:
    """Additive, as wide as the cache, the way the converter writes it for sliding windows."""
    own = torch.arange(case.start, case.start + case.tokens)[:, None]
    distance = own - torch.arange(case.capacity)[None]
    excess = torch.maximum(-distance, distance - (case.window - 1)).clamp(min=0)
    mask: torch.Tensor = excess.float() * -1e9
    return mask


def expected(case: Case, tensors: tuple[torch.Tensor, ...], scale: float) -> torch.Tensor:
    length = case.start + case.tokens
    query, key, value = (tensor.double().transpose(0, 1) for tensor in tensors[:3])
    key, value = (tensor.repeat_interleave(case.heads // case.kv_heads, 0) for tensor in (key, value))
    allowed = torch.ones(case.tokens, length, dtype=torch.bool)
    if case.causal or case.window:
        allowed = allowed.tril(case.start)
    if case.window:
        allowed = allowed.triu(case.start - case.window + 1)
    attended = torch.nn.functional.scaled_dot_product_attention(
        query[None], key[None], value[None], attn_mask=allowed, scale=scale
    )
    return attended[0].transpose(0, 1)


def problem(case: Case, seed: int) -> tuple[bytes, torch.Tensor]:
    """The case in the program's format, and what torch makes of it."""
    generator = torch.Generator().manual_seed(seed)
    length = case.start + case.tokens
    tensors = (
        states(case, case.tokens, case.heads, generator),
        states(case, length, case.kv_heads, generator),
        states(case, length, case.kv_heads, generator),
    )
    mask = mask_of(case) if case.window else torch.zeros(0, 0)
    # Not the default, so that an ignored scale shows.
    scale = 1.3 * case.head_dim**-0.5
    sizes = (case.tokens, case.heads, case.kv_heads, case.head_dim, case.capacity, case.start, case.causal)
    floats = [np.float32(scale).tobytes(), *(tensor.numpy().tobytes() for tensor in (*tensors, mask))]
    content = np.array([*sizes, *mask.shape], np.int64).tobytes() + b"".join(floats)
    return content, expected(case, tensors, float(np.float32(scale)))


@pytest.mark.parametrize("threads", [1, 3])
def test_outputs_equal_torch_over_shapes(program: Path, threads: int) -> None:
    problems = [problem(case, seed) for seed, case in enumerate(CASES)]
    done = subprocess.run(
        [program, str(threads)],
        input=b"".join(content for content, _ in problems),
        capture_output=True,
        check=True,
        timeout=120,
    )
    outputs = np.frombuffer(done.stdout, np.float32)
    ends = np.cumsum([answer.numel() for _, answer in problems])
    assert len(outputs) == ends[-1]
    for case, (_, answer), output in zip(CASES, problems, np.split(outputs, ends[:-1]), strict=True):
        difference = np.abs(output.reshape(answer.shape) - answer.numpy()).max()
        assert difference <= TOLERANCE * max(case.deviation, 1.0), case


@pytest.mark.parametrize(
    "case", [Case(5, 6, capacity=10), Case(1, 0, heads=4, kv_heads=3), Case(1, 0, window=3)], ids=repr
)
def test_what_does_not_fit_is_refused(program: Path, case: Case) -> None:
    # In order: beyond the cache, heads that share no keys evenly, a mask together with is_causal.
    sizes = (case.tokens, case.heads, case.kv_heads, case.head_dim, case.capacity, case.start, case.causal)
    mask = (1, case.capacity) if case.window else (0, 0)
    floats = 1 + case.tokens * case.heads * case.head_dim + mask[0] * mask[1]
    floats += 2 * (case.start + case.tokens) * case.kv_heads * case.head_dim
    content = np.array([*sizes, *mask], np.int64).tobytes() + bytes(4 * floats)
    done = subprocess.run([program, "1"], input=content, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (4, b"")
