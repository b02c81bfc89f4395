"""Short convolutions and recurrences of transformers' models, said in our operators.

transformers keeps what fast kernels may replace in functions of their own, by the same few names in all
families. Each is run on random numbers beside what stands for it, as are the modules below that write their
recurrence out; what does not agree stays as it is, and its loop over the text is refused by the trace.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from toolkit.capture.graph import Op
from toolkit.capture.patterns import layer_of
from toolkit.models.layers import numbered

_STATES = {"slm.short_convolution": (3, "convolution"), "slm.linear_recurrence": (6, "recurrence")}
_TOLERANCE = 2e-4


def with_state_names(ops: list[Op]) -> list[Op]:
    """Each state by its layer and kind, ``3.convolution``, and a number where a layer has several."""
    counts: dict[str, int] = {}
    named = []
    for op in ops:
        if op.target in _STATES:
            index, kind = _STATES[op.target]
            place = layer_of(op)
            stem = f"{place[1] if place else 0}.{kind}"
            name = numbered(stem, counts.get(stem, 0))
            counts[stem] = counts.get(stem, 0) + 1
            op = replace(op, args=(*op.args[:index], name, *op.args[index + 1 :]))
        named.append(op)
    return named


def state_place(name: str) -> tuple[int, int]:
    """The layer of a state, and its number among those of its kind there."""
    layer, _, rest = name.partition(".")
    return int(layer), int(rest.partition(".")[2] or 0)


def function_replacements(owner: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Functions of a modeling file, by name, and what stands for them."""
    for name, function in _FUNCTIONS.items():
        original = getattr(owner, name, None)
        if original is not None and _agree(original, function.replacement, *function.probe()):
            yield name, function.replacement


def module_replacement(module: nn.Module) -> Callable[..., Any] | None:
    """What stands for a module's forward."""
    if isinstance(module, nn.Conv1d):
        return _causal_convolution(module)
    if isinstance(module, nn.ZeroPad2d):
        return _delayed if tuple(module.padding) == (0, 0, 1, -1) else None
    make = _MODULES.get(type(module).__name__)
    return make(module) if make is not None else None


def _convolved(hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Channels first, as in transformers."""
    if weight.shape[1] == 1:
        # It sees the token itself alone and keeps nothing.
        product = hidden * weight
        return product if bias is None else product + bias.unsqueeze(-1)
    result: Tensor = torch.ops.slm.short_convolution(hidden.transpose(1, 2), weight, bias, "")
    return result.transpose(1, 2)


def _causal_conv1d(
    hidden_states: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: str | None = None,
    **kwargs: Any,
) -> Tensor:
    from transformers.activations import ACT2FN

    result = _convolved(hidden_states, weight, bias)
    return result if activation is None else ACT2FN[activation](result)


def _selective_scan(
    hidden_states: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    **kwargs: Any,
) -> Tensor:
    """Mamba (arXiv 2312.00752); hidden states, steps and gate [B, D, S], B and C [B, N, S], A [D, N]."""
    steps, inputs = dt.transpose(1, 2), hidden_states.transpose(1, 2)
    if delta_bias is not None:
        steps = steps + delta_bias
    if delta_softplus:
        steps = nn.functional.softplus(steps)
    result: Tensor = torch.ops.slm.linear_recurrence(
        C.transpose(1, 2).unsqueeze(2),
        B.transpose(1, 2).unsqueeze(2),
        (steps * inputs).unsqueeze(-1),
        steps.unsqueeze(-1) * A,
        None,
        "mamba",
        "",
    ).squeeze(-1)
    if D is not None:
        result = result + inputs * D
    if z is not None:
        result = result * nn.functional.silu(z.transpose(1, 2))
    return result.transpose(1, 2)


def _chunk_scan(
    hidden_states: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    chunk_size: int = 0,
    D: Tensor | None = None,
    dt_bias: Tensor | None = None,
    dt_softplus: bool = False,
    dt_limit: tuple[float, float] = (0.0, float("inf")),
    **kwargs: Any,
) -> Tensor:
    """Mamba 2 (arXiv 2405.21060); hidden states [B, S, H, P], steps [B, S, H], B, C [B, S, G, N], A [H]."""
    steps = dt if dt_bias is None else dt + dt_bias
    if dt_softplus:
        steps = nn.functional.softplus(steps)
    if tuple(dt_limit) != (0.0, float("inf")) or not dt_softplus:
        steps = steps.clamp(min=dt_limit[0], max=dt_limit[1])
    result: Tensor = torch.ops.slm.linear_recurrence(
        C, B, hidden_states * steps.unsqueeze(-1), (steps * A).unsqueeze(-1), None, "mamba2", ""
    )
    return result if D is None else result + D.unsqueeze(-1) * hidden_states


def _gated_delta_rule(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    g: Tensor,
    beta: Tensor,
    use_qk_l2norm_in_kernel: bool = False,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Gated delta networks (arXiv 2412.06464), and Kimi's (arXiv 2510.26692) with a decay for each column."""
    if use_qk_l2norm_in_kernel:
        query, key = _unit(query), _unit(key)
    variant = "gated_delta" if g.dim() == 3 else "kimi_delta"
    decay = g.unsqueeze(-1) if g.dim() == 3 else g
    query = query * query.shape[-1] ** -0.5
    return torch.ops.slm.linear_recurrence(query, key, value, decay, beta, variant, ""), None


def _unit(states: Tensor) -> Tensor:
    return states * torch.rsqrt((states * states).sum(dim=-1, keepdim=True) + 1e-6)


def _causal_convolution(module: nn.Conv1d) -> Callable[[Tensor], Tensor] | None:
    """A depthwise convolution whose padding is cut off at the end of the text.

    Callers take the first positions of the result; the ones behind the text are not made.
    """
    [width] = module.kernel_size
    depthwise = module.groups == module.in_channels == module.out_channels
    causal = tuple(module.padding) == (width - 1,) and module.padding_mode == "zeros"
    if not depthwise or not causal or module.stride != (1,) or module.dilation != (1,):
        return None
    return lambda hidden: _convolved(hidden, module.weight.squeeze(1), module.bias)


def _delayed(hidden: Tensor) -> Tensor:
    """Each token's row [B, S, C] at the next token, zeros at the first: a convolution's first tap."""
    taps = torch.tensor([1.0, 0.0]).repeat(hidden.shape[-1], 1)
    result: Tensor = torch.ops.slm.short_convolution(hidden, taps, None, "")
    return result


def _wkv(
    time_decay: Tensor, time_first: Tensor, key: Tensor, value: Tensor, **kwargs: Any
) -> tuple[Tensor, None]:
    """RWKV's weighted mean (arXiv 2305.13048): its sum of values and its sum of weights fade alike.

    Decays [C], key and value [B, S, C]. A token adds its own value with a weight of its own, and fades for
    the tokens behind it only.
    """
    weight = key.exp()
    sums = torch.stack((weight * value, weight), dim=-1)
    before = _delayed(sums.flatten(2)).reshape(sums.shape)
    ones = torch.ones_like(key).unsqueeze(-1)
    decay = ones * -time_decay.exp().unsqueeze(-1)
    kept = torch.ops.slm.linear_recurrence(ones, ones, before, decay, None, "wkv", "")
    total = kept + sums * time_first.exp().unsqueeze(-1)
    return total[..., 0] / total[..., 1], None


def _scaled_block(module: Any) -> Callable[..., Any]:
    """RWKV's layers as they are at inference: what each adds is halved once for every few layers below it.

    transformers divides weights in place instead. Powers of two make the same numbers.
    """
    every = module.config.rescale_every
    scale = 0.5 ** (module.layer_id // every if every > 0 else 0)

    def forward(hidden: Tensor, **kwargs: Any) -> tuple[Tensor, None, None]:
        if module.layer_id == 0:
            hidden = module.pre_ln(hidden)
        hidden = hidden + module.attention(module.ln1(hidden))[0] * scale
        return hidden + module.feed_forward(module.ln2(hidden))[0] * scale, None, None

    return forward


def _scaled_already(module: Any) -> Callable[..., Any]:
    """RWKV's stack of layers, which divides no weight."""

    def forward(*args: Any, **kwargs: Any) -> Any:
        module.layers_are_rescaled = True
        return type(module).forward(module, *args, **kwargs)

    return forward


def _lightning(module: Any) -> Callable[..., Any] | None:
    """MiniMax's attention without a softmax, which fades (Lightning Attention-2, arXiv 2401.04658)."""

    def forward(owner: Any, hidden: Tensor) -> tuple[Tensor, None]:
        batch, length, _ = hidden.shape
        states = owner.act_fn(owner.qkv_proj(hidden))
        states = states.reshape(batch, length, owner.num_attention_heads, 3 * owner.head_dim)
        query, key, value = states.split(owner.head_dim, dim=3)
        decay = torch.ones_like(query[..., :1]) * -owner.slope_rate.reshape(1, 1, -1, 1)
        read: Tensor = torch.ops.slm.linear_recurrence(query, key, value, decay, None, "lightning", "")
        read = owner.norm(read.reshape(batch, length, -1))
        return owner.out_proj(torch.sigmoid(owner.output_gate(hidden)) * read), None

    probe: Any = _filled(module)
    probe.block_size = 4
    probe.slope_rate = probe.get_slope_rate("cpu")
    probe.query_decay, probe.key_decay, probe.diagonal_decay = probe.decay_factors(probe.slope_rate)
    [hidden] = _random((1, _LENGTH, probe.qkv_proj.in_features))
    pair = (lambda states: probe(states, None, None)), (lambda states: forward(probe, states))
    if not _agree(*pair, (hidden,), {}):
        return None
    return lambda hidden_states, *args, **kwargs: forward(module, hidden_states)


def _rg_lru(module: Any) -> Callable[[Tensor, Tensor], Tensor] | None:
    """RecurrentGemma's recurrence (Griffin, arXiv 2402.19427)."""

    def forward(owner: Any, activations: Tensor, position_ids: Tensor) -> Tensor:
        batch, length, width = activations.shape

        def gate(weight: Tensor, bias: Tensor) -> Tensor:
            split = activations.reshape(batch, length, owner.num_attention_heads, 1, owner.block_width)
            return torch.sigmoid((split @ weight).squeeze(-2) + bias).reshape(batch, length, width)

        decay = -8.0 * gate(owner.recurrent_gate_weight, owner.recurrent_gate_bias)
        decay = decay * nn.functional.softplus(owner.recurrent_param)
        inputs = activations * gate(owner.input_gate_weight, owner.input_gate_bias)
        # The first token is taken as it is; the state in front of it is empty.
        first = (position_ids == 0).unsqueeze(-1).to(activations.dtype)
        factor = first + (1.0 - first) * torch.sqrt(1.0 - torch.exp(2.0 * decay))
        ones = torch.ones_like(decay).unsqueeze(-1)
        result: Tensor = torch.ops.slm.linear_recurrence(
            ones, ones, (inputs * factor).unsqueeze(-1), decay.unsqueeze(-1), None, "rg_lru", ""
        )
        return result.squeeze(-1)

    probe = _filled(module)
    width = len(module.recurrent_param)
    generator = torch.Generator().manual_seed(1)
    arguments = torch.randn(1, 9, width, generator=generator), torch.arange(9)[None]
    if not _agree(probe, lambda *args: forward(probe, *args), arguments, {}):
        return None
    return lambda activations, position_ids: forward(module, activations, position_ids)


_MODULES: dict[str, Callable[[Any], Callable[..., Any] | None]] = {
    "MiniMaxLightningAttention": _lightning,
    "RecurrentGemmaRglru": _rg_lru,
    "RwkvBlock": _scaled_block,
    "RwkvModel": _scaled_already,
}


def _filled(module: nn.Module) -> nn.Module:
    """A copy with random parameters."""
    probe = copy.deepcopy(module).to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    for parameter in probe.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.5
    return probe


def _agree(
    original: Callable[..., Any],
    replacement: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> bool:
    """Whether two functions return the same for the same numbers."""
    try:
        with torch.no_grad():
            expected, actual = original(*args, **kwargs), replacement(*args, **kwargs)
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError):
        # It takes something else.
        return False
    expected, actual = (value[0] if isinstance(value, tuple) else value for value in (expected, actual))
    if not isinstance(expected, Tensor) or expected.shape != actual.shape:
        return False
    return torch.allclose(actual, expected, rtol=_TOLERANCE, atol=_TOLERANCE)


Probe = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class _Function:
    """What stands for a function, and arguments to try both with."""

    replacement: Callable[..., Any]
    probe: Callable[[], Probe]


_LENGTH = 11


def _random(*shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def _convolution_probe() -> Probe:
    hidden, weight, bias = _random((1, 6, _LENGTH), (6, 4), (6,))
    return (hidden, weight, bias), {"activation": "silu"}


def _selective_scan_probe() -> Probe:
    hidden, steps, gate, rates, keys, queries, skip, bias = _random(
        *[(1, 6, _LENGTH)] * 3, (6, 4), *[(1, 4, _LENGTH)] * 2, (6,), (6,)
    )
    kwargs = {"D": skip, "z": gate, "delta_bias": bias, "delta_softplus": True}
    return (hidden, steps, -rates.exp(), keys, queries), kwargs


def _chunk_scan_probe() -> Probe:
    hidden, steps, rates, keys, queries, skip, bias = _random(
        (1, _LENGTH, 4, 6), (1, _LENGTH, 4), (4,), *[(1, _LENGTH, 2, 8)] * 2, (4,), (4,)
    )
    kwargs = {"chunk_size": 4, "D": skip, "dt_bias": bias, "dt_softplus": True, "dt_limit": (0.1, 0.9)}
    return (hidden, steps, -rates.exp(), keys, queries), kwargs


def _wkv_probe() -> Probe:
    return tuple(_random((6,), (6,), *[(1, _LENGTH, 6)] * 2)), {}


def _delta_probe(*decays: int) -> Probe:
    query, key, value, decay, beta = _random(
        *[(1, _LENGTH, 4, 8)] * 2, (1, _LENGTH, 4, 6), (1, _LENGTH, 4, *decays), (1, _LENGTH, 4)
    )
    kwargs = {"g": -decay.exp(), "beta": beta.sigmoid(), "chunk_size": 4, "use_qk_l2norm_in_kernel": True}
    return (query, key, value), kwargs


_FUNCTIONS = {
    "causal_conv1d_fn": _Function(_causal_conv1d, _convolution_probe),
    "mamba_selective_scan": _Function(_selective_scan, _selective_scan_probe),
    "mamba2_chunk_scan": _Function(_chunk_scan, _chunk_scan_probe),
    "rwkv_linear_attention": _Function(_wkv, _wkv_probe),
    "torch_chunk_gated_delta_rule": _Function(_gated_delta_rule, _delta_probe),
    "chunk_kimi_delta_attention": _Function(_gated_delta_rule, lambda: _delta_probe(8)),
}
