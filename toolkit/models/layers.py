"""What each layer of a decoder is: its mixers, its feed-forward, and the states that it keeps between tokens.

Layers need not be alike. Whoever asks for memory or binds buffers asks the states and nothing else, so that a
new kind of mixer is a class here and a reader in :mod:`toolkit.capture.description`, and no change above.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

BATCH: Literal["batch"] = "batch"
TEXT: Literal["text"] = "text"
Dimension = int | Literal["batch", "text"]
StateType = Literal["float32", "float16", "bfloat16", "int8", "int64"]
_ELEMENT_BYTES: dict[StateType, int] = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1, "int64": 8}


class _Described(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class State(_Described):
    """A tensor that a layer keeps from one token to the next.

    Attributes:
        name: unique in the decoder, e.g. ``3.key``.
        shape: numbers, "batch", and "text" for the tokens seen so far; engines may order them otherwise.
        dtype: of its elements.
    """

    name: str
    shape: tuple[Dimension, ...]
    dtype: StateType

    @property
    def grows(self) -> bool:
        """Whether it is larger after a longer text, as a KV cache is and a recurrence's state is not."""
        return TEXT in self.shape

    def size_bytes(self, text: int, *, batch: int = 1) -> int:
        """Bytes after ``text`` tokens."""
        sizes: dict[str, int] = {BATCH: batch, TEXT: text}
        elements = math.prod(size if isinstance(size, int) else sizes[size] for size in self.shape)
        return elements * _ELEMENT_BYTES[self.dtype]


class Attention(_Described):
    """Causal attention, its keys and values kept for every token: MHA, GQA or MQA by ``kv_heads``.

    Attributes:
        heads: of queries.
        kv_heads: of keys and values.
        head_dim: of queries and keys.
        value_dim: of values.
        window: a token sees itself and the ``window - 1`` before it; None sees all.
        rotary_dim: dimensions of each head that turn with the position, 0 for none; None is not known.
        shares_cache_of: the layer whose keys and values it reads instead of keeping some of its own.
    """

    kind: Literal["attention"] = "attention"
    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    window: int | None = None
    rotary_dim: int | None = None
    shares_cache_of: int | None = None

    def states(self, layer: int, dtype: StateType = "float32") -> tuple[State, ...]:
        """Keys and values, each [batch, kv_heads, text, dim]."""
        if self.shares_cache_of is not None:
            return ()
        widths = {"key": self.head_dim, "value": self.value_dim}
        return tuple(
            State(name=f"{layer}.{name}", shape=(BATCH, self.kv_heads, TEXT, width), dtype=dtype)
            for name, width in widths.items()
        )


class LatentAttention(_Described):
    """Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): a compressed row is kept for each token.

    Attributes:
        heads: of queries.
        latent_dim: of the row that keys and values are made from.
        rotary_dim: of the rotated key that all heads share.
        head_dim: of queries and keys, without the rotated part.
        value_dim: of values.
    """

    kind: Literal["latent_attention"] = "latent_attention"
    heads: int
    latent_dim: int
    rotary_dim: int
    head_dim: int
    value_dim: int

    @property
    def row_dim(self) -> int:
        """What is kept for each token."""
        return self.latent_dim + self.rotary_dim

    def states(self, layer: int, dtype: StateType = "float32") -> tuple[State, ...]:
        """Compressed rows with the rotated key at their ends, [batch, 1, text, dim]: a cache of one head."""
        shape = (BATCH, 1, TEXT, self.row_dim)
        return (State(name=f"{layer}.latent", shape=shape, dtype=dtype),)


class ShortConvolution(_Described):
    """A causal convolution over each channel's last ``width`` tokens (LFM2, and in front of scans).

    Attributes:
        channels: convolved each by itself.
        width: tokens, the current one included.
        number: among the convolutions of its layer.
    """

    kind: Literal["short_convolution"] = "short_convolution"
    channels: int
    width: int
    number: int = 0

    def states(self, layer: int, dtype: StateType = "float32") -> tuple[State, ...]:
        """The tokens before the current one, [batch, width - 1, channels]."""
        shape = (BATCH, self.width - 1, self.channels)
        return (State(name=numbered(f"{layer}.convolution", self.number), shape=shape, dtype=dtype),)


class Recurrence(_Described):
    """A linear recurrence over the text: state-space models, RG-LRU, RWKV, gated delta rule.

    Attributes:
        variant: which, in its paper's word, e.g. ``mamba2``.
        heads: with one state each.
        state_shape: of one head's state.
        number: among the recurrences of its layer.
    """

    kind: Literal["recurrence"] = "recurrence"
    variant: str
    heads: int
    state_shape: tuple[int, ...]
    number: int = 0

    def states(self, layer: int, dtype: StateType = "float32") -> tuple[State, ...]:
        """One state for the whole text, [batch, heads, ...]."""
        shape = (BATCH, self.heads, *self.state_shape)
        return (State(name=numbered(f"{layer}.recurrence", self.number), shape=shape, dtype=dtype),)


def numbered(name: str, number: int) -> str:
    """The name of the first, second ... state of a kind in a layer."""
    return f"{name}.{number}" if number else name


Mixer = Annotated[Attention | LatentAttention | ShortConvolution | Recurrence, Field(discriminator="kind")]


class FeedForward(_Described):
    """A feed-forward without experts.

    Attributes:
        kind: "gated" multiplies two projections, "dense" has one; "unknown": none was recognized.
        intermediate_size: width between the projections; None is not known.
        activation: operator's name, e.g. ``silu``, ``gelu_tanh``; None is not known.
    """

    kind: Literal["gated", "dense", "unknown"]
    intermediate_size: int | None = None
    activation: str | None = None


class MixtureOfExperts(_Described):
    """A router and gated or dense experts, of which each token uses a few.

    Attributes:
        experts: to choose from.
        experts_per_token: chosen ones.
        shared_experts: used by every token.
        intermediate_size: of one expert.
        activation: as in :class:`FeedForward`.
    """

    kind: Literal["mixture_of_experts"] = "mixture_of_experts"
    experts: int
    experts_per_token: int
    shared_experts: int = 0
    intermediate_size: int
    activation: str | None = None


class Layer(_Described):
    """One layer.

    Attributes:
        mixers: what carries information from token to token, in order; two of them in hybrid layers.
        feed_forward: None for a layer without one.
        states: what it keeps between tokens.
    """

    mixers: tuple[Mixer, ...]
    feed_forward: Annotated[FeedForward | MixtureOfExperts, Field(discriminator="kind")] | None
    states: tuple[State, ...]


def attention_of(layers: Iterable[Layer]) -> tuple[Attention, ...]:
    """Every attention with keys and values, in order."""
    return tuple(mixer for layer in layers for mixer in layer.mixers if isinstance(mixer, Attention))


def latent_attention_of(layers: Iterable[Layer]) -> tuple[LatentAttention, ...]:
    """Every attention over compressed rows, in order."""
    return tuple(mixer for layer in layers for mixer in layer.mixers if isinstance(mixer, LatentAttention))


def states_of(layers: Iterable[Layer]) -> tuple[State, ...]:
    """Every state, in order."""
    return tuple(state for layer in layers for state in layer.states)


def states_bytes(layers: Iterable[Layer], text: int, *, batch: int = 1) -> int:
    """Bytes of all states after ``text`` tokens."""
    return sum(state.size_bytes(text, batch=batch) for state in states_of(layers))


def states_read_bytes(layers: Iterable[Layer], text: int) -> int:
    """Bytes of states that a decode step reads behind ``text`` tokens.

    Of a window its rows alone, however many are kept, and a shared cache once for each layer that reads it.
    """
    total = 0
    for layer in layers:
        attentions = attention_of([layer])
        seen = min([text, *(one.window for one in attentions if one.window is not None)])
        shared = (
            one.model_copy(update={"shares_cache_of": None}).states(one.shares_cache_of)
            for one in attentions
            if one.shares_cache_of is not None
        )
        total += sum(state.size_bytes(seen) for states in (layer.states, *shared) for state in states)
    return total


def plain_layers(
    count: int,
    *,
    heads: int,
    kv_heads: int,
    head_dim: int,
    window: int | None = None,
    intermediate_size: int | None = None,
) -> tuple[Layer, ...]:
    """``count`` layers alike, with attention and a feed-forward of which the width alone is known."""
    attention = Attention(
        heads=heads, kv_heads=kv_heads, head_dim=head_dim, value_dim=head_dim, window=window
    )
    feed_forward = FeedForward(kind="unknown", intermediate_size=intermediate_size)
    return tuple(
        Layer(mixers=(attention,), feed_forward=feed_forward, states=attention.states(index))
        for index in range(count)
    )
