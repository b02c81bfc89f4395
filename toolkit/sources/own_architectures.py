"""Model types that transformers lacks and that need no code from their folder."""

from __future__ import annotations

OWN_TYPES = ("openelm", "minicpm", "mobillama", "mobilellm")


def register_own_architectures() -> None:
    """Make transformers' Auto classes know them."""
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from toolkit.sources import llama_like, openelm

    pairs = {
        "openelm": (openelm.OpenELMConfig, openelm.OpenELMForCausalLM),
        "minicpm": (llama_like.MiniCPMConfig, llama_like.MiniCPMForCausalLM),
        "mobillama": (llama_like.MobiLlamaConfig, llama_like.MobiLlamaForCausalLM),
        "mobilellm": (llama_like.MobileLLMConfig, llama_like.MobileLLMForCausalLM),
    }
    for model_type, (config, model) in pairs.items():
        if model_type not in CONFIG_MAPPING:
            AutoConfig.register(model_type, config)
            AutoModelForCausalLM.register(config, model)
