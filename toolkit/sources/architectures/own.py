"""Model types that transformers lacks and that need no code from their folder."""

from __future__ import annotations

OWN_TYPES = ("openelm", "minicpm", "mobillama", "mobilellm", "phi4mm", "qwen", "openlm")


def register_own_architectures() -> None:
    """Make transformers' Auto classes know them."""
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.conversion_mapping import WeightRenaming, register_checkpoint_conversion_mapping
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from toolkit.sources.architectures import llama_like, openelm, openlm, qwen

    pairs = {
        "openelm": (openelm.OpenELMConfig, openelm.OpenELMForCausalLM),
        "minicpm": (llama_like.MiniCPMConfig, llama_like.MiniCPMForCausalLM),
        "mobillama": (llama_like.MobiLlamaConfig, llama_like.MobiLlamaForCausalLM),
        "mobilellm": (llama_like.MobileLLMConfig, llama_like.MobileLLMForCausalLM),
        "phi4mm": (llama_like.Phi4MMConfig, llama_like.Phi4MMForCausalLM),
        "qwen": (qwen.QWenConfig, qwen.QWenLMHeadModel),
        "openlm": (openlm.OpenLMConfig, openlm.OpenLMForCausalLM),
    }
    for model_type, (config, model) in pairs.items():
        if model_type not in CONFIG_MAPPING:
            AutoConfig.register(model_type, config)
            AutoModelForCausalLM.register(config, model)
            if model_type == "phi4mm":
                # Adapters for images and sound are wrapped around its matrices.
                register_checkpoint_conversion_mapping(model_type, [WeightRenaming(r"\.base_layer\.", ".")])
