"""What transformers says, with its own KV cache; shared by the tests of all backends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from toolkit.inference.decoder import Decoder
from toolkit.sources import ModelSource

MODEL_TYPES = ["llama", "mistral", "qwen2", "qwen3", "phi3", "gemma3", "gpt2"]
PREFILL, STEPS = 40, 8


def transformers_logits(source: ModelSource, ids: list[int]) -> torch.Tensor:
    """Prefill and single steps; logits of each last position."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(source.config, dtype=torch.float32, attn_implementation="eager")
    model.load_state_dict({name: source.weights.read(name) for name in source.weights.names()}, strict=False)
    model.tie_weights()
    model.eval()
    rows, cache = [], None
    with torch.no_grad():
        for chunk in [ids[:PREFILL], *([token] for token in ids[PREFILL:])]:
            output = model(torch.tensor([chunk]), past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            rows.append(output.logits[0, -1])
    return torch.stack(rows)


def check_prefill_and_decode(source: ModelSource, load: Callable[[], Decoder]) -> None:
    """fp32 logits are within 1e-3 of transformers' after a prefill and in each of several decode steps."""
    window = getattr(source.config, "sliding_window", None)
    assert window is None or window < PREFILL, "the text must be longer than the window to test it"
    ids = np.random.default_rng(7).integers(3, source.config.vocab_size, PREFILL + STEPS).tolist()
    expected = transformers_logits(source, ids)
    assert expected.std() > 0.1, "flat logits would agree whatever the weights"
    decoder = load()
    rows = [decoder.step(ids[:PREFILL]), *(decoder.step([token]) for token in ids[PREFILL:])]
    torch.testing.assert_close(torch.cat(rows), expected, atol=1e-3, rtol=0)
