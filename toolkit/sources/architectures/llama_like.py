"""Decoders that are llama, Granite or Phi-3 under another name, so that the code beside them need not run."""

from __future__ import annotations

from typing import Any

from transformers.models.granite.configuration_granite import GraniteConfig
from transformers.models.granite.modeling_granite import GraniteForCausalLM
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaForCausalLM
from transformers.models.phi3.configuration_phi3 import Phi3Config
from transformers.models.phi3.modeling_phi3 import Phi3ForCausalLM


class MiniCPMConfig(GraniteConfig):  # type: ignore[misc]
    """MiniCPM (arXiv 2404.06395): llama with factors, which Granite has under other names."""

    model_type = "minicpm"

    scale_emb: float | int = 1
    scale_depth: float | int = 1
    dim_model_base: int = 1
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        self.embedding_multiplier = self.scale_emb
        self.residual_multiplier = self.scale_depth / self.num_hidden_layers**0.5
        self.logits_scaling = self.hidden_size / self.dim_model_base
        self.attention_multiplier = (self.hidden_size // self.num_attention_heads) ** -0.5
        super().__post_init__(**kwargs)


class MiniCPMForCausalLM(GraniteForCausalLM):  # type: ignore[misc]
    """MiniCPM."""

    config_class = MiniCPMConfig


class MobiLlamaConfig(LlamaConfig):  # type: ignore[misc]
    """MobiLlama (arXiv 2402.16840): llama whose layers share their feed-forward, which is stored for each."""

    model_type = "mobillama"


class MobiLlamaForCausalLM(LlamaForCausalLM):  # type: ignore[misc]
    """MobiLlama."""

    config_class = MobiLlamaConfig


class MobileLLMConfig(LlamaConfig):  # type: ignore[misc]
    """MobileLLM (arXiv 2402.14905): llama with its vocabulary tied by another name."""

    model_type = "mobilellm"

    share_embedding: bool = True
    layer_sharing: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        if self.layer_sharing:
            raise ValueError("layers that run twice (layer_sharing) are not supported; MobileLLM without is")
        self.tie_word_embeddings = self.share_embedding
        super().__post_init__(**kwargs)


class MobileLLMForCausalLM(LlamaForCausalLM):  # type: ignore[misc]
    """MobileLLM."""

    config_class = MobileLLMConfig


class Phi4MMConfig(Phi3Config):  # type: ignore[misc]
    """Phi-4-multimodal (arXiv 2503.01743) as published: Phi-4-mini, with adapters for images and sound."""

    model_type = "phi4mm"


class Phi4MMForCausalLM(Phi3ForCausalLM):  # type: ignore[misc]
    """The text decoder of Phi-4-multimodal."""

    config_class = Phi4MMConfig
