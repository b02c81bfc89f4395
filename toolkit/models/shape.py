"""A decoder as sizes: its matrices, its layers, and what else it has parameters for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from toolkit.models.layers import (
    Attention,
    FeedForward,
    LatentAttention,
    Layer,
    MixtureOfExperts,
    attention_of,
    latent_attention_of,
)

MatrixRole = Literal["linear", "embedding", "lm_head"]
# What plans treat apart: matrices that yield attention's values, and the feed-forwards' ways back, the last
# one by itself.
Part = Literal["value", "down", "last_down"]


@dataclass(frozen=True)
class MatrixShape:
    """One matrix in one of its roles; a tied vocabulary is there twice under one name.

    Attributes:
        name: of the parameter.
        role: decides the quantization.
        rows: output features; tokens of a table.
        columns: input features.
        used: share of it that one token multiplies with: below 1 for experts.
        copies: layers that multiply with this one matrix.
    """

    name: str
    role: MatrixRole
    rows: int
    columns: int
    used: float = 1.0
    copies: int = 1

    @property
    def elements(self) -> int:
        """Weights."""
        return self.rows * self.columns


@dataclass(frozen=True)
class DecoderShape:
    """What a decoder's memory, files and arithmetic follow from.

    Attributes:
        hidden_size: of the residual stream.
        vocabulary: tokens.
        layers: what each is.
        matrices: in the order in which they are used.
        other_parameters: norms, biases, learned positions.
        tied: embedding and output projection are one matrix.
        parts: matrices that presets treat apart, by name.
        rotary_dims: width of each table of rotations.
        longest: positions that it was trained for; None for relative ones.
        routers: matrices that choose experts, which stay in float32.
    """

    hidden_size: int
    vocabulary: int
    layers: tuple[Layer, ...]
    matrices: tuple[MatrixShape, ...]
    other_parameters: int
    tied: bool
    parts: Mapping[str, Part] = field(default_factory=dict)
    rotary_dims: tuple[int, ...] = ()
    longest: int | None = None
    routers: tuple[str, ...] = ()

    @property
    def unique_parameters(self) -> int:
        """Every matrix once."""
        return sum({one.name: one.elements for one in self.matrices}.values()) + self.other_parameters

    @property
    def active_parameters(self) -> int:
        """The same without the experts that one token is not sent to."""
        unused = sum({one.name: one.elements * (1 - one.used) for one in self.matrices}.values())
        return self.unique_parameters - round(unused)

    @property
    def stored_parameters(self) -> int:
        """A tied vocabulary twice, as in files and engines that keep a copy of it."""
        return self.unique_parameters + (self.vocabulary * self.hidden_size if self.tied else 0)

    def prefill_flops(self, tokens: int, *, depth: int = 0) -> int:
        """Multiplications and additions of a prefill behind ``depth`` tokens; the output sees the last one.

        A product of [rows, columns] with a vector is 2 * rows * columns; attention is 2 * heads * (head_dim +
        value_dim) for each pair of a token and one that it sees, over rows of latent attention as wide as
        these. Norms, activations and rotations are left out.
        """
        head = sum(2 * one.elements for one in self.matrices if one.role == "lm_head")
        attention = sum(
            2 * one.heads * (one.head_dim + one.value_dim) * seen_pairs(tokens, depth, one.window)
            for one in attention_of(self.layers)
        )
        pairs = seen_pairs(tokens, depth, None)
        latent = sum(4 * one.heads * one.row_dim * pairs for one in latent_attention_of(self.layers))
        return round(self.flops_per_token * tokens) + head + attention + latent

    @property
    def flops_per_token(self) -> float:
        """Multiplications and additions of a prefill's token, whatever it sees.

        Linears, and latent attention's products of queries and results with the matrix that expands rows.
        """
        linears = sum(
            2 * one.elements * one.used * one.copies for one in self.matrices if one.role == "linear"
        )
        expanding = sum(
            2 * one.heads * one.latent_dim * (one.head_dim + one.value_dim)
            for one in latent_attention_of(self.layers)
        )
        return linears + expanding


def seen_pairs(tokens: int, depth: int, window: int | None) -> int:
    """How often a token of a prefill looks at a token, itself included."""
    if window is None or depth + tokens <= window:
        return tokens * depth + tokens * (tokens + 1) // 2
    return sum(min(depth + index + 1, window) for index in range(tokens))


def widest_feed_forward(layers: Iterable[Layer]) -> tuple[int, bool] | None:
    """Width of the widest feed-forward that one token passes, and whether it is gated; None where unknown."""
    found: list[tuple[int, bool]] = []
    for layer in layers:
        inner = layer.feed_forward
        if isinstance(inner, MixtureOfExperts):
            found.append((inner.intermediate_size * (inner.experts_per_token + inner.shared_experts), True))
        elif isinstance(inner, FeedForward) and inner.intermediate_size is not None:
            found.append((inner.intermediate_size, inner.kind != "dense"))
    return max(found, default=None)


def widest_attention(layers: Iterable[Layer]) -> int:
    """Columns of queries, keys and values of the widest attention."""
    layers = tuple(layers)
    mixers: list[Attention | LatentAttention] = [*attention_of(layers), *latent_attention_of(layers)]
    return max((_projected(one) for one in mixers), default=0)


def _projected(attention: Attention | LatentAttention) -> int:
    if isinstance(attention, LatentAttention):
        return (2 * attention.heads + 1) * attention.row_dim
    widths = attention.head_dim + attention.value_dim
    return attention.heads * attention.head_dim + attention.kv_heads * widths


def elements(shape: Iterable[int]) -> int:
    """Of a tensor."""
    return math.prod(shape)
