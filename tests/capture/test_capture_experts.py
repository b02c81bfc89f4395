"""What experts do between their projections, against what transformers' own modules do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import GptOssConfig, MixtralConfig, NemotronHConfig, PretrainedConfig
from transformers.models.gpt_oss.modeling_gpt_oss import GptOssExperts
from transformers.models.mixtral.modeling_mixtral import MixtralExperts
from transformers.models.nemotron_h.modeling_nemotron_h import NemotronHExperts

from toolkit.capture.experts import Gate, recognize_gate
from toolkit.capture.operators import ACTIVATIONS, gated
from toolkit.errors import UnsupportedModel


def experts(kind: Any, config: PretrainedConfig) -> Any:
    with torch.device("meta"):
        return kind(config)


@pytest.mark.parametrize("activation", ["silu", "gelu", "gelu_pytorch_tanh", "relu"])
def test_a_gate_is_recognized_with_each_activation(activation: str) -> None:
    module = experts(
        MixtralExperts, MixtralConfig(hidden_size=8, intermediate_size=16, hidden_act=activation)
    )
    gate = recognize_gate(module)
    states = 3 * torch.randn(64, 32)
    actual = gated(states, gate.activation, gate.interleaved, gate.alpha, gate.offset, gate.limit)
    assert torch.allclose(actual, module._apply_gate(states), atol=1e-5)


def test_a_gate_with_a_factor_an_offset_and_a_limit_is_recognized() -> None:
    module = experts(GptOssExperts, GptOssConfig(hidden_size=8, intermediate_size=16))
    assert recognize_gate(module) == Gate("silu", interleaved=True, alpha=1.702, offset=1.0, limit=7.0)


def test_experts_without_a_gate_have_an_activation() -> None:
    module = experts(NemotronHExperts, NemotronHConfig(hidden_size=8, moe_intermediate_size=16))
    gate = recognize_gate(module)
    states = torch.randn(64)
    assert torch.allclose(ACTIVATIONS[gate.activation](states), module.act_fn(states))


def test_another_formula_is_refused() -> None:
    module = experts(MixtralExperts, MixtralConfig(hidden_size=8, intermediate_size=16, hidden_act="mish"))
    with pytest.raises(UnsupportedModel, match="between their projections"):
        recognize_gate(module)
