"""Mixtures of experts: transformers' interface to experts, answered by one operator of ours.

The router stays what it is and is traced as plain arithmetic: whatever it computes, in the end each token has
chosen experts and weights. What an expert does between its projections is tried out on numbers and must be
one of the formulas that :func:`toolkit.capture.operators.experts` stands for.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from toolkit.capture import operators as _  # noqa: F401  registers torch.ops.slm
from toolkit.capture.graph import Ref
from toolkit.capture.operators import ACTIVATIONS, gated
from toolkit.errors import UnsupportedModel


@dataclass(frozen=True)
class Gate:
    """What experts do between their projections; see :func:`toolkit.capture.operators.gated`."""

    activation: str
    interleaved: bool = False
    alpha: float = 1.0
    offset: float = 0.0
    limit: float = 0.0


@dataclass(frozen=True)
class ExpertsCall:
    """The operands of slm::experts in a graph."""

    hidden: Ref
    chosen: Ref
    weights: Ref
    up: Ref
    down: Ref
    up_bias: Ref | None
    down_bias: Ref | None
    activation: str
    has_gate: bool
    interleaved: bool
    transposed: bool
    alpha: float
    offset: float
    limit: float


def traced_experts(module: Any) -> Callable[..., Any] | None:
    """The forward of a module of experts as one slm::experts; None for any other module.

    Args:
        module: experts as transformers' ``use_experts_implementation`` leaves them.

    Raises:
        UnsupportedModel: they compute something that is not known.
    """
    if type(module).__name__ == "Llama4TextMoe":
        return _scaled_inputs(module)
    if not hasattr(module, "_is_expert_parallel"):
        return None
    if module.has_post_expert_norm:
        raise _unknown(module, "its experts have a norm of their own behind them")
    gate = recognize_gate(module)

    def forward(hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        up, bias = ("gate_up_proj", "gate_up_proj_bias") if module.has_gate else ("up_proj", "up_proj_bias")
        biased = module.has_bias
        result: Tensor = torch.ops.slm.experts(
            hidden_states,
            top_k_index,
            top_k_weights,
            getattr(module, up),
            module.down_proj,
            getattr(module, bias) if biased else None,
            module.down_proj_bias if biased else None,
            gate.activation,
            bool(module.has_gate),
            gate.interleaved,
            bool(module.is_transposed),
            gate.alpha,
            gate.offset,
            gate.limit,
        )
        return result

    # gpt_oss names its arguments otherwise.
    def renamed(
        hidden_states: Tensor,
        top_k_index: Tensor | None = None,
        top_k_weights: Tensor | None = None,
        router_indices: Tensor | None = None,
        routing_weights: Tensor | None = None,
    ) -> Tensor:
        index = top_k_index if router_indices is None else router_indices
        weights = top_k_weights if routing_weights is None else routing_weights
        assert index is not None and weights is not None, "experts are given what was chosen"
        return forward(hidden_states, index, weights)

    return renamed


def _scaled_inputs(module: Any) -> Callable[..., tuple[Tensor, Tensor]] | None:
    """Llama 4's mixture, which scales what goes into its experts and runs each over the whole text."""
    kind: tuple[Any, ...] = ("silu", True, False, True, 1.0, 0.0, 0.0)

    def forward(owner: Any, hidden_states: Tensor, experts: Callable[..., Tensor]) -> tuple[Tensor, Tensor]:
        hidden = hidden_states.reshape(-1, owner.hidden_dim)
        logits = nn.functional.linear(hidden, owner.router.weight)
        scores, chosen = torch.topk(logits, owner.top_k, dim=-1)
        result = owner.shared_expert(hidden)
        up, down = owner.experts.gate_up_proj, owner.experts.down_proj
        for place in range(owner.top_k):
            score, one = scores[:, place : place + 1], chosen[:, place : place + 1]
            inputs = hidden * torch.sigmoid(score)
            result = result + experts(inputs, one, torch.ones_like(score), up, down, None, None, *kind)
        return result, logits

    def computed(hidden: Tensor, chosen: Tensor, weights: Tensor, *given: Any) -> Tensor:
        up, down = (weight[chosen[:, 0]] for weight in given[:2])
        result: Tensor = (gated(hidden[:, None] @ up, "silu", False, 1.0, 0.0, 0.0) @ down)[:, 0] * weights
        return result

    probe = copy.deepcopy(module).to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in probe.parameters():
            parameter.normal_(0.0, parameter.shape[-1] ** -0.5, generator=generator)
        hidden = torch.randn(1, 5, probe.hidden_dim, generator=generator)
        expected, actual = probe(hidden)[0], forward(probe, hidden, computed)[0]
    if not torch.allclose(actual, expected, rtol=1e-4, atol=1e-4):
        return None
    return lambda hidden_states: forward(module, hidden_states, torch.ops.slm.experts)


def recognize_gate(module: Any) -> Gate:
    """The formula between an expert's projections.

    Args:
        module: experts as transformers' ``use_experts_implementation`` leaves them.

    Raises:
        UnsupportedModel: it is none that is known.
    """
    generator = torch.Generator().manual_seed(0)
    # Wide enough to see where values are clamped.
    probe = torch.randn(32, 64, generator=generator) * torch.logspace(-1, 2, 32)[:, None]
    with torch.no_grad(), torch.device("cpu"):
        actual = module._apply_gate(probe) if module.has_gate else module.act_fn(probe)
    for gate in _candidates(module):
        expected = (
            gated(probe, gate.activation, gate.interleaved, gate.alpha, gate.offset, gate.limit)
            if module.has_gate
            else ACTIVATIONS[gate.activation](probe)
        )
        if actual.shape == expected.shape and torch.allclose(actual, expected, rtol=1e-4, atol=1e-5):
            return gate
    raise _unknown(module, "what its experts do between their projections is not known")


def _unknown(module: nn.Module, what: str) -> UnsupportedModel:
    return UnsupportedModel(
        what,
        subject=type(module).__name__,
        next_step="docs/families.md lists the model types that convert.",
    )


def _candidates(module: Any) -> Iterator[Gate]:
    for activation, interleaved in itertools.product(ACTIVATIONS, (False, True)):
        yield Gate(activation, interleaved)
    if not module.has_gate:
        return
    # Factors and limits have no common name, but they are numbers of the module or of its config.
    alphas, limits = _numbers(module, "alpha"), _numbers(module, "limit")
    for interleaved, alpha, offset, limit in itertools.product(
        (False, True), (1.0, 1.702, *alphas), (0.0, 1.0), (0.0, *limits)
    ):
        yield Gate("silu", interleaved, alpha, offset, limit)


def _numbers(module: nn.Module, word: str) -> list[float]:
    owners = [vars(module), getattr(getattr(module, "config", None), "__dict__", {})]
    return list(
        dict.fromkeys(
            float(value)
            for owner in owners
            for name, value in owner.items()
            if word in name and isinstance(value, int | float) and not isinstance(value, bool)
        )
    )
