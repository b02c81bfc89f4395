"""Torch operators that mark, in a captured graph, what the lowerings fuse.

A lowering replaces each by its engine's fused kernel, and a capture runs on fake tensors only. Semantics are
defined in the docstrings and proven by the parity tests against transformers. Those that keep a state can be
computed as well, from an empty state on: what stands for a model's own code is tried out with them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


@torch.library.custom_op("slm::rms_norm", mutates_args=())
def rms_norm(hidden: Tensor, weight: Tensor | None, eps: float, unit_offset: bool) -> Tensor:
    """``hidden / sqrt(mean(hidden**2, -1) + eps) * w``; w is weight, 1 + weight (Gemma), or 1 without one."""
    raise NotImplementedError("slm::rms_norm exists only in captured graphs")


@rms_norm.register_fake
def _(hidden: Tensor, weight: Tensor | None, eps: float, unit_offset: bool) -> Tensor:
    return torch.empty_like(hidden)


@torch.library.custom_op("slm::rope_table", mutates_args=())
def rope_table(position_ids: Tensor, table: str, dim: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [1, S, dim] of the rotary embedding named ``table`` at ``position_ids`` [1, S]."""
    raise NotImplementedError("slm::rope_table exists only in captured graphs")


@rope_table.register_fake
def _(position_ids: Tensor, table: str, dim: int) -> tuple[Tensor, Tensor]:
    shape = (*position_ids.shape, dim)
    return (
        torch.empty(shape, device=position_ids.device, dtype=torch.float32),
        torch.empty(shape, device=position_ids.device, dtype=torch.float32),
    )


@torch.library.custom_op("slm::rotary", mutates_args=())
def rotary(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate-half rotary embedding of ``states`` [B, H, S, D]; only the first cos.shape[-1] dims turn."""
    raise NotImplementedError("slm::rotary exists only in captured graphs")


@rotary.register_fake
def _(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return torch.empty_like(states)


@torch.library.custom_op("slm::attention", mutates_args=())
def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layer: int,
    scale: float,
    window: int,
    softcap: float,
    sinks: Tensor | None = None,
    chunk: int = 0,
) -> Tensor:
    """Causal grouped-query attention over the layer's KV cache, to which key and value are appended.

    query [B, H, S, D], key and value [B, KVH, S, D] -> [B, S, H, D]. ``window`` > 0: a token sees itself
    and the ``window - 1`` tokens before it. ``softcap`` > 0: scores become softcap * tanh(score / softcap).
    ``sinks`` [H]: one more score for each head, of a key without value (arXiv 2309.17453). ``chunk`` > 0: a
    token sees those of its chunk, the text is cut every ``chunk`` tokens; no lowering gets to see that.
    """
    raise NotImplementedError("slm::attention exists only in captured graphs")


@attention.register_fake
def _(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layer: int,
    scale: float,
    window: int,
    softcap: float,
    sinks: Tensor | None = None,
    chunk: int = 0,
) -> Tensor:
    batch, heads, length, _ = query.shape
    return query.new_empty((batch, length, heads, value.shape[-1]))


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": functional.silu,
    "gelu": functional.gelu,
    "gelu_tanh": lambda states: functional.gelu(states, approximate="tanh"),
    "relu": functional.relu,
    "relu_squared": lambda states: functional.relu(states).square(),
    "sigmoid": torch.sigmoid,
    "identity": lambda states: states,
}
"""What experts may put between their projections, by name."""


def gated(
    states: Tensor, activation: str, interleaved: bool, alpha: float, offset: float, limit: float
) -> Tensor:
    """``act(gate) * (up + offset)`` of [.., 2 I], gate first or, ``interleaved``, gates in even columns.

    ``alpha`` other than 1 is for silu: ``gate * sigmoid(alpha * gate)``. ``limit`` > 0: gates are at most
    that, ups between -limit and limit.
    """
    gate, up = (states[..., ::2], states[..., 1::2]) if interleaved else states.chunk(2, dim=-1)
    if limit:
        gate, up = gate.clamp(max=limit), up.clamp(-limit, limit)
    activated = gate * torch.sigmoid(alpha * gate) if activation == "silu" else ACTIVATIONS[activation](gate)
    return activated * (up + offset)


@torch.library.custom_op("slm::experts", mutates_args=())
def experts(
    hidden: Tensor,
    chosen: Tensor,
    weights: Tensor,
    up: Tensor,
    down: Tensor,
    up_bias: Tensor | None,
    down_bias: Tensor | None,
    activation: str,
    has_gate: bool,
    interleaved: bool,
    transposed: bool,
    alpha: float,
    offset: float,
    limit: float,
) -> Tensor:
    """Each token's chosen experts, weighted and added up.

    hidden [S, H], chosen int64 [S, K] and their weights [S, K], up [E, I or 2 I, H] and down [E, H, I], the
    last two dimensions swapped if ``transposed`` -> [S, H]. An expert is ``down(act(up(x)))``, with
    ``has_gate`` ``down(gated(up(x)))``, see :func:`gated`.
    """
    raise NotImplementedError("slm::experts exists only in captured graphs")


@experts.register_fake
def _(
    hidden: Tensor,
    chosen: Tensor,
    weights: Tensor,
    up: Tensor,
    down: Tensor,
    up_bias: Tensor | None,
    down_bias: Tensor | None,
    activation: str,
    has_gate: bool,
    interleaved: bool,
    transposed: bool,
    alpha: float,
    offset: float,
    limit: float,
) -> Tensor:
    return torch.empty_like(hidden)


@torch.library.custom_op("slm::short_convolution", mutates_args=())
def short_convolution(hidden: Tensor, weight: Tensor, bias: Tensor | None, state: str) -> Tensor:
    """Causal convolution of each channel of ``hidden`` [B, S, C] with its row of ``weight`` [C, W].

    The last of the W taps meets the token itself. ``state`` names the W - 1 tokens before the call's first.
    """
    padded = torch.nn.functional.pad(hidden.mT, (weight.shape[1] - 1, 0))
    return torch.nn.functional.conv1d(padded, weight[:, None], bias, groups=len(weight)).mT.contiguous()


@short_convolution.register_fake
def _(hidden: Tensor, weight: Tensor, bias: Tensor | None, state: str) -> Tensor:
    return torch.empty_like(hidden)


@torch.library.custom_op("slm::linear_recurrence", mutates_args=())
def linear_recurrence(
    query: Tensor, key: Tensor, value: Tensor, decay: Tensor, beta: Tensor | None, variant: str, state: str
) -> Tensor:
    """A state for each head, [K, V], that fades, takes up the outer product of key and value, and is read.

    query and key [B, S, G, K], value [B, S, H, V], decay [B, S, H, K or 1], beta [B, S, H]; G divides H.
    With k, v, d, b of a token: ``state = exp(d) * state``, then ``state += k v^T``, or with beta the delta
    rule ``state += k (b * (v - state^T k))^T``; the result [B, S, H, V] is ``state^T query``.
    ``variant`` is the recurrence's name in its paper, ``state`` names what is kept.
    """
    heads = value.shape[2]
    query, key = (each.repeat_interleave(heads // each.shape[2], dim=2) for each in (query, key))
    kept = value.new_zeros(value.shape[0], heads, key.shape[-1], value.shape[-1])
    rows = []
    for token in range(value.shape[1]):
        kept = kept * decay[:, token].exp()[..., None]
        added = value[:, token]
        if beta is not None:
            added = (added - (kept * key[:, token, ..., None]).sum(-2)) * beta[:, token, :, None]
        kept = kept + key[:, token, ..., None] * added[..., None, :]
        rows.append((kept * query[:, token, ..., None]).sum(-2))
    return torch.stack(rows, dim=1)


@linear_recurrence.register_fake
def _(
    query: Tensor, key: Tensor, value: Tensor, decay: Tensor, beta: Tensor | None, variant: str, state: str
) -> Tensor:
    return torch.empty_like(value)
