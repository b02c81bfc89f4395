"""How a transformers model is made to speak in our operators while it is traced.

Nothing is replaced on trust: each module or function is first run on random numbers and compared with
the formula that our operator stands for. What does not match is left as it is and traced as plain
tensor arithmetic, or refused when the lowering could not run it.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from toolkit.capture import operators as _  # noqa: F401  registers torch.ops.slm
from toolkit.capture.chosen_tokens import EveryToken, choose_every_token
from toolkit.capture.experts import traced_experts
from toolkit.capture.recurrences import function_replacements, module_replacement
from toolkit.errors import UnsupportedModel

ATTENTION = "slm"


def register_attention(mask_value: EveryToken | None = None) -> None:
    """Make ``attn_implementation="slm"`` known to transformers; it emits slm::attention and no mask.

    Args:
        mask_value: what models are given for a mask.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import causal_mask_function

    # Of the masks that the model has asked for: windows, 0 where one has none; whether it is plainly causal.
    windows: set[int] = set()
    causal: set[bool] = set()

    def mask(*args: Any, mask_function: Any = None, local_size: int | None = None, **kwargs: Any) -> Any:
        # A window of no token is kept below 0. Qwen-MoE makes its mask for layers that it does not have.
        windows.add(int(local_size or 0) if local_size is None or local_size > 0 else local_size - 1)
        causal.add(mask_function is causal_mask_function)
        return mask_value

    AttentionInterface.register(ATTENTION, partial(_attention, windows, causal))
    AttentionMaskInterface.register(ATTENTION, mask)


def _seeing_window(windows: set[int], module: Any, **given: Any) -> int:
    """The sliding window of a layer, which has a token at least; 0 for none.

    Raises:
        UnsupportedModel: it has no token, or nothing says which window it is.
    """
    window = _window(windows, module, **given)
    if window < 0:
        raise UnsupportedModel(
            f"sliding_window is {window + 1}, so that no token sees another, nor itself",
            next_step="Correct sliding_window in its config to the original model's; null, where the "
            "model takes it, is no window.",
        )
    return window


def _window(windows: set[int], module: Any, **given: Any) -> int:
    """The sliding window of a layer, 0 for none.

    What counts is the mask. Attention is told of a window too, by most models: some forget it, and some tell
    one for which they make no mask.
    """
    if len(windows) == 1:
        return next(iter(windows))
    if "sliding_window" in given or not windows:
        told = given.get("sliding_window")
        return min(windows) if windows and told is not None and told < 1 else int(told or 0)
    layers = getattr(getattr(module, "config", None), "layer_types", None)
    if layers is None or len(windows) > 2 or module.layer_idx is None:
        raise UnsupportedModel(
            "it does not say which of its masks its attention has",
            subject=type(module).__name__,
            next_step="docs/families.md lists the model types that convert.",
        )
    return max(windows, key=abs) if layers[module.layer_idx] == "sliding_attention" else 0


def _chunk(module: Any) -> int:
    """How many tokens a chunk has in which a layer attends, 0 for the whole text."""
    config = getattr(module, "config", None)
    layers = getattr(config, "layer_types", None)
    # One attention that several layers share has no number of its own.
    if config is None or not layers or module.layer_idx is None:
        return 0
    if layers[module.layer_idx] != "chunked_attention":
        return 0
    return int(config.attention_chunk_size)


def _attention(
    windows: set[int],
    causal: set[bool],
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | EveryToken | None,
    scaling: float | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    unknown = [name for name in _UNKNOWN if not isinstance(kwargs.get(name), EveryToken | None)]
    if not isinstance(attention_mask, EveryToken | None):
        unknown.append("a mask that the model makes itself")
    # Layers of BigBird-Pegasus do not say that they are causal; their model asks for such a mask.
    if not getattr(module, "is_causal", True) and True not in causal:
        unknown.append("a mask that it does not call causal, as an encoder's does")
    if unknown:
        decoder = getattr(getattr(module, "config", None), "is_decoder", None)
        mend = (
            " Where this is a decoder, set is_decoder to true in its config.json." if decoder is False else ""
        )
        raise UnsupportedModel(
            f"its attention uses {' and '.join(unknown)}",
            subject=type(module).__name__,
            next_step="Only causal attention with an optional sliding window and soft cap can be exported."
            + mend,
        )
    scale = float(scaling if scaling is not None else query.shape[-1] ** -0.5)
    width = value.shape[-1]
    query, key, value = _as_wide(query, key, value)
    chunk = _chunk(module)
    output = torch.ops.slm.attention(
        query,
        key,
        value,
        module.layer_idx or 0,
        scale,
        0 if chunk else _seeing_window(windows, module, **kwargs),
        float(softcap or 0.0),
        kwargs.get("s_aux"),
        chunk,
    )
    return output if output.shape[-1] == width else output[..., :width].contiguous(), None


# What some models give their attention beside a mask: biases, and the keys that it is to look at.
_UNKNOWN = ("head_mask", "attention_bias", "position_bias", "indices", "block_indices")
# Engines' attention kernels take heads of a multiple of so many numbers, values as wide as keys.
_HEAD_MULTIPLE = 8


def _as_wide(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values with zeros at the end of each head where engines need them."""
    width = -(-max(query.shape[-1], value.shape[-1]) // _HEAD_MULTIPLE) * _HEAD_MULTIPLE

    def padded(states: Tensor) -> Tensor:
        missing = width - states.shape[-1]
        return nn.functional.pad(states, (0, missing)) if missing else states

    return padded(query), padded(key), padded(value)


@contextmanager
def traced_operators(model: nn.Module) -> Iterator[None]:
    """Swap normalization, rotary embedding and activation for operators while the block runs."""
    with ExitStack() as stack:
        unlike_halves = set()
        for name, module in model.named_modules():
            if type(module).__name__.endswith("RotaryEmbedding") and not _repeats_halves(module):
                unlike_halves.add(type(module).__module__)
            replacement = _replacement(name, module)
            if replacement is not None:
                _replace(stack, module, "forward", replacement)
        for source in {type(module).__module__ for module in model.modules()}:
            rotary = getattr(sys.modules[source], "apply_rotary_pos_emb", None)
            if rotary is not None and source not in unlike_halves and _rotates_halves(rotary):
                _replace(stack, sys.modules[source], "apply_rotary_pos_emb", _apply_rotary)
            for function, replacement in function_replacements(sys.modules[source]):
                _replace(stack, sys.modules[source], function, replacement)
        yield


def _replace(stack: ExitStack, owner: object, name: str, value: object) -> None:
    """Set an attribute until the stack closes; what the owner had from its class it has again."""
    if name in vars(owner):
        stack.callback(setattr, owner, name, vars(owner)[name])
    else:
        stack.callback(delattr, owner, name)
    setattr(owner, name, value)


def _replacement(name: str, module: nn.Module) -> Callable[..., Any] | None:
    kind = type(module).__name__
    if kind.endswith("RMSNorm"):
        return _rms_norm(module)
    if kind.endswith("RotaryEmbedding"):
        return _rope_table(name, module)
    if kind in ("NewGELUActivation", "FastGELUActivation", "GELUTanh", "PytorchGELUTanh"):
        return _tanh_gelu(module)
    return choose_every_token(module) or traced_experts(module) or module_replacement(module)


def _rms_norm(module: nn.Module) -> Callable[[Tensor], Tensor] | None:
    eps = getattr(module, "variance_epsilon", None) or getattr(module, "eps", None)
    parameters = dict(module.named_parameters())
    if eps is None or list(parameters) not in ([], ["weight"]):
        return None
    if parameters and parameters["weight"].dim() != 1:
        return None
    size = parameters["weight"].shape[0] if parameters else 16
    generator = torch.Generator().manual_seed(0)
    probe = copy.deepcopy(module).to_empty(device="cpu")
    weight = torch.randn(size, generator=generator) if parameters else torch.ones(size)
    if parameters:
        probe.weight = nn.Parameter(weight, requires_grad=False)
    hidden = torch.randn(3, size, generator=generator)
    scaled = hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + eps)
    try:
        with torch.no_grad():
            actual = probe(hidden)
    except (RuntimeError, TypeError, ValueError, AttributeError):
        # It takes something else than rows, a gate say.
        return None
    for unit_offset in (False, True):
        if torch.allclose(actual, scaled * (weight + unit_offset), atol=1e-5):
            # Asked for when it runs: the trace gives the module other parameters.
            return lambda states: torch.ops.slm.rms_norm(
                states, module.weight if parameters else None, float(eps), unit_offset
            )
    return None


def _layer_types(module: nn.Module) -> list[str | None]:
    """What a rotary embedding may be asked for, beside positions."""
    return [None, *dict.fromkeys(getattr(getattr(module, "config", None), "layer_types", None) or ())]


def rope_values(module: nn.Module, length: int, layer_type: str | None = None) -> Any:
    """Cosines and sines [1, length, dim] of a rotary embedding, or complex numbers [1, length, dim / 2]."""
    # Some keep what they computed last, and would compute something else afterwards.
    probe = copy.deepcopy(module)
    extra = () if layer_type is None else (layer_type,)
    with torch.no_grad():
        return probe(torch.zeros(1), torch.arange(length)[None], *extra)


def _rope_table(name: str, module: nn.Module) -> Callable[..., Any] | None:
    widths: dict[str | None, tuple[int, bool]] = {}
    for layer_type in _layer_types(module):
        try:
            values = rope_values(module, 1, layer_type)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        is_complex = isinstance(values, Tensor)
        if is_complex and not values.is_complex():
            return None
        widths[layer_type] = (values if is_complex else values[0]).shape[-1], is_complex
    if not widths:
        return None

    def forward(hidden: Tensor, position_ids: Tensor, layer_type: str | None = None) -> Any:
        dim, is_complex = widths[layer_type]
        if position_ids.dim() == 3:
            # A row each for time, height and width; of text all are the same (m-rope).
            position_ids = position_ids[0]
        table = name if layer_type is None else f"{name}:{layer_type}"
        cos, sin = torch.ops.slm.rope_table(position_ids, table, dim)
        return torch.complex(cos, sin) if is_complex else (cos, sin)

    return forward


def _repeats_halves(module: nn.Module) -> bool:
    """Whether the second half of the cosines and sines is the first one again, as rotating halves needs."""
    for layer_type in _layer_types(module):
        try:
            values = rope_values(module, 3, layer_type)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        if isinstance(values, Tensor):
            return False
        for table in values:
            first, second = table.tensor_split(2, dim=-1)
            if first.shape != second.shape or not torch.equal(first, second):
                return False
    return True


def _tanh_gelu(module: nn.Module) -> Callable[[Tensor], Tensor] | None:
    probe = torch.linspace(-6, 6, 101)
    if not torch.allclose(module(probe), nn.functional.gelu(probe, approximate="tanh"), atol=1e-5):
        return None
    return lambda states: nn.functional.gelu(states, approximate="tanh")


def _apply_rotary(
    query: Tensor, key: Tensor, cos: Tensor, sin: Tensor, *args: Any, **kwargs: Any
) -> tuple[Tensor, Tensor]:
    return torch.ops.slm.rotary(query, cos, sin), torch.ops.slm.rotary(key, cos, sin)


def _rotates_halves(function: Callable[..., Any]) -> bool:
    """Whether a function turns the halves of queries and keys; another one is traced as it is."""
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(1, 2, 3, 8, generator=generator)
    angle = torch.randn(1, 3, 4, generator=generator).repeat(1, 1, 2)
    cos, sin = angle.cos(), angle.sin()
    half = torch.cat((-states[..., 4:], states[..., :4]), dim=-1)
    expected = states * cos[:, None] + half * sin[:, None]
    try:
        actual = function(states, states, cos, sin)
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
        return False
    return isinstance(actual, tuple) and all(
        isinstance(rotated, Tensor)
        and rotated.shape == expected.shape
        and torch.allclose(rotated, expected, atol=1e-5)
        for rotated in actual
    )
