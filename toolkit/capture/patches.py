"""How a transformers model is made to speak in our operators while it is traced.

Nothing is replaced on trust: each module or function is first run on random numbers and compared with
the formula that our operator stands for. What does not match is left as it is and traced as plain
tensor arithmetic, or refused when the lowering could not run it.
"""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from toolkit.capture import operators as _  # noqa: F401  registers torch.ops.slm
from toolkit.errors import UnsupportedModel

ATTENTION = "slm"


def register_attention() -> None:
    """Make ``attn_implementation="slm"`` known to transformers; it emits slm::attention and no mask."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(ATTENTION, _attention)
    AttentionMaskInterface.register(ATTENTION, lambda *args, **kwargs: None)


def _attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    unknown = [name for name in ("s_aux", "head_mask", "attention_bias") if kwargs.get(name) is not None]
    if unknown or attention_mask is not None or not getattr(module, "is_causal", True):
        raise UnsupportedModel(
            f"its attention uses {', '.join(unknown) or 'a mask that is not causal'}",
            subject=type(module).__name__,
            next_step="Only causal attention with an optional sliding window and soft cap can be exported.",
        )
    output = torch.ops.slm.attention(
        query,
        key,
        value,
        module.layer_idx,
        float(scaling if scaling is not None else query.shape[-1] ** -0.5),
        int(sliding_window or 0),
        float(softcap or 0.0),
    )
    return output, None


@contextmanager
def traced_operators(model: nn.Module) -> Iterator[None]:
    """Swap normalization, rotary embedding and activation for operators while the block runs."""
    with ExitStack() as stack:
        for name, module in model.named_modules():
            replacement = _replacement(name, module)
            if replacement is not None:
                _replace(stack, module, "forward", replacement)
        for source in {type(module).__module__ for module in model.modules()}:
            rotary = getattr(sys.modules[source], "apply_rotary_pos_emb", None)
            if rotary is not None:
                _check_rotate_half(rotary, source)
                _replace(stack, sys.modules[source], "apply_rotary_pos_emb", _apply_rotary)
        yield


def _replace(stack: ExitStack, owner: object, name: str, value: object) -> None:
    """Set an attribute until the stack closes; what the owner had from its class it has again."""
    if name in vars(owner):
        stack.callback(setattr, owner, name, vars(owner)[name])
    else:
        stack.callback(delattr, owner, name)
    setattr(owner, name, value)


def rotary_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The model's rotary embeddings by module name."""
    return {
        name: module
        for name, module in model.named_modules()
        if type(module).__name__.endswith("RotaryEmbedding")
    }


def _replacement(name: str, module: nn.Module) -> Callable[..., Any] | None:
    kind = type(module).__name__
    if kind.endswith("RMSNorm"):
        return _rms_norm(module)
    if kind.endswith("RotaryEmbedding"):
        return _rope_table(name, module)
    if kind in ("NewGELUActivation", "FastGELUActivation", "GELUTanh", "PytorchGELUTanh"):
        return _tanh_gelu(module)
    return None


def _rms_norm(module: nn.Module) -> Callable[[Tensor], Tensor] | None:
    eps = getattr(module, "variance_epsilon", None) or getattr(module, "eps", None)
    parameters = dict(module.named_parameters())
    if eps is None or list(parameters) != ["weight"]:
        return None
    size = parameters["weight"].shape[0]
    generator = torch.Generator().manual_seed(0)
    probe = copy.deepcopy(module).to_empty(device="cpu")
    weight = torch.randn(size, generator=generator)
    probe.weight = nn.Parameter(weight, requires_grad=False)
    hidden = torch.randn(3, size, generator=generator)
    scaled = hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + eps)
    with torch.no_grad():
        actual = probe(hidden)
    for unit_offset in (False, True):
        if torch.allclose(actual, scaled * (weight + unit_offset), atol=1e-5):
            return lambda states: torch.ops.slm.rms_norm(states, module.weight, float(eps), unit_offset)
    return None


def _rope_table(name: str, module: nn.Module) -> Callable[..., tuple[Tensor, Tensor]]:
    original = module.forward
    layer_types: set[str | None] = {None}
    if "layer_type" in inspect.signature(original).parameters:
        layer_types = set(getattr(getattr(module, "config", None), "layer_types", None) or layer_types)
    # Asked now: scalings that look at the positions' values cannot be traced.
    widths = {}
    for kind in layer_types:
        extra = () if kind is None else (kind,)
        widths[kind] = original(torch.zeros(1), torch.zeros((1, 1), dtype=torch.long), *extra)[0].shape[-1]

    def forward(hidden: Tensor, position_ids: Tensor, layer_type: str | None = None) -> tuple[Tensor, Tensor]:
        dim = widths[layer_type]
        table = name if layer_type is None else f"{name}:{layer_type}"
        cos, sin = torch.ops.slm.rope_table(position_ids, table, dim)
        return cos, sin

    return forward


def _tanh_gelu(module: nn.Module) -> Callable[[Tensor], Tensor] | None:
    probe = torch.linspace(-6, 6, 101)
    if not torch.allclose(module(probe), nn.functional.gelu(probe, approximate="tanh"), atol=1e-5):
        return None
    return lambda states: nn.functional.gelu(states, approximate="tanh")


def _apply_rotary(
    query: Tensor, key: Tensor, cos: Tensor, sin: Tensor, *args: Any, **kwargs: Any
) -> tuple[Tensor, Tensor]:
    return torch.ops.slm.rotary(query, cos, sin), torch.ops.slm.rotary(key, cos, sin)


def _check_rotate_half(function: Callable[..., tuple[Tensor, Tensor]], source: str) -> None:
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(1, 2, 3, 8, generator=generator)
    angle = torch.randn(1, 3, 4, generator=generator).repeat(1, 1, 2)
    cos, sin = angle.cos(), angle.sin()
    half = torch.cat((-states[..., 4:], states[..., :4]), dim=-1)
    expected = states * cos[:, None] + half * sin[:, None]
    actual = function(states, states, cos, sin)
    if not all(torch.allclose(rotated, expected, atol=1e-5) for rotated in actual):
        raise UnsupportedModel(
            "its rotary embedding does not rotate halves",
            subject=source,
            next_step="Interleaved rotary embeddings are not supported yet.",
        )
