"""OpenELM (arXiv 2404.14619): layers of different width, one matrix for queries, keys and values.

Written from the paper and the published checkpoints' names and shapes, so that the code that comes with them
need not run.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.models.llama.modeling_llama import LlamaRMSNorm, LlamaRotaryEmbedding

from toolkit.models.facts_shape import divisible_width
from toolkit.sources.architectures.decoder import OwnAttention, OwnBody, OwnCausalLM


class OpenELMConfig(PreTrainedConfig):  # type: ignore[misc]
    """As published; widths of layers are given for each, or for the first and last one."""

    model_type = "openelm"
    attribute_map = {
        "hidden_size": "model_dim",
        "num_hidden_layers": "num_transformer_layers",
        "max_position_embeddings": "max_context_length",
        "tie_word_embeddings": "share_input_output_layers",
    }

    vocab_size: int = 32000
    max_context_length: int = 2048
    num_transformer_layers: int = 12
    model_dim: int = 2048
    head_dim: int = 128
    qkv_multipliers: Any = 1.0
    num_query_heads: Any = None
    num_kv_heads: Any = None
    num_gqa_groups: int = 1
    ffn_multipliers: Any = 4.0
    ffn_dim_divisor: int = 256
    normalize_qk_projections: bool = False
    share_input_output_layers: bool = False
    rope_freq_constant: int | float = 10000
    hidden_act: str = "silu"
    rope_parameters: dict[str, Any] | None = None
    initializer_range: float = 0.02
    use_cache: bool = True
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    pad_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        layers = self.num_transformer_layers
        if self.num_query_heads is None:
            widths = [self.model_dim * factor for factor in _each(self.qkv_multipliers, layers)]
            multiple = self.head_dim * (self.num_gqa_groups or 2)
            self.num_query_heads = [divisible_width(width, multiple) // self.head_dim for width in widths]
        if self.num_kv_heads is None:
            groups = self.num_gqa_groups or 1
            self.num_kv_heads = [heads // groups for heads in self.num_query_heads]
        self.ffn_multipliers = _each(self.ffn_multipliers, layers)
        self.num_attention_heads = max(self.num_query_heads)
        self.num_key_value_heads = max(self.num_kv_heads)
        self.rope_parameters = {"rope_type": "default", "rope_theta": float(self.rope_freq_constant)}
        super().__post_init__(**kwargs)

    def intermediate_size(self, layer: int) -> int:
        """Width of a layer's feed-forward."""
        return divisible_width(self.ffn_multipliers[layer] * self.model_dim, self.ffn_dim_divisor)


def _each(factors: Any, layers: int) -> list[float]:
    """One factor for each layer: given, or evenly from the first one's to the last one's."""
    if not isinstance(factors, list | tuple):
        return [float(factors)] * layers
    if len(factors) == layers:
        return [float(factor) for factor in factors]
    first, last = factors
    steps = max(layers - 1, 1)
    return [round(first + (last - first) * index / steps, 2) for index in range(layers)]


class _Attention(OwnAttention):
    def __init__(self, config: OpenELMConfig, layer: int) -> None:
        heads, kv_heads = config.num_query_heads[layer], config.num_kv_heads[layer]
        super().__init__(config, layer, head_dim=config.head_dim, groups=heads // kv_heads)
        self.split = [heads, kv_heads, kv_heads]
        self.qkv_proj = nn.Linear(config.model_dim, sum(self.split) * self.head_dim, bias=False)
        self.q_norm = LlamaRMSNorm(self.head_dim) if config.normalize_qk_projections else nn.Identity()
        self.k_norm = LlamaRMSNorm(self.head_dim) if config.normalize_qk_projections else nn.Identity()
        self.out_proj = nn.Linear(heads * self.head_dim, config.model_dim, bias=False)

    def forward(self, hidden: Tensor, angles: tuple[Tensor, Tensor], mask: Any, cache: Any) -> Tensor:
        query, key, value = self.heads(self.qkv_proj(hidden)).split_with_sizes(self.split, dim=1)
        attended = self.attend(self.q_norm(query), self.k_norm(key), value, angles, mask, cache)
        output: Tensor = self.out_proj(attended)
        return output


class _FeedForward(nn.Module):
    def __init__(self, config: OpenELMConfig, layer: int) -> None:
        super().__init__()
        width = config.intermediate_size(layer)
        self.proj_1 = nn.Linear(config.model_dim, 2 * width, bias=False)
        self.proj_2 = nn.Linear(width, config.model_dim, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        gate, up = self.proj_1(hidden).chunk(2, dim=-1)
        down: Tensor = self.proj_2(nn.functional.silu(gate) * up)
        return down


class _Layer(nn.Module):
    def __init__(self, config: OpenELMConfig, layer: int) -> None:
        super().__init__()
        self.attn = _Attention(config, layer)
        self.ffn = _FeedForward(config, layer)
        self.ffn_norm = LlamaRMSNorm(config.model_dim)
        self.attn_norm = LlamaRMSNorm(config.model_dim)

    def forward(self, hidden: Tensor, angles: tuple[Tensor, Tensor], mask: Any, cache: Any) -> Tensor:
        hidden = hidden + self.attn(self.attn_norm(hidden), angles, mask, cache)
        output: Tensor = hidden + self.ffn(self.ffn_norm(hidden))
        return output


class OpenELMModel(OwnBody):
    """The decoder without its output projection."""

    config_class = OpenELMConfig

    def __init__(self, config: OpenELMConfig) -> None:
        super().__init__(config)
        self.token_embeddings = nn.Embedding(config.vocab_size, config.model_dim)
        self.layers = nn.ModuleList(_Layer(config, layer) for layer in range(config.num_transformer_layers))
        self.norm = LlamaRMSNorm(config.model_dim)
        self.rotary_emb = LlamaRotaryEmbedding(config)
        self.post_init()

    def forward(self, input_ids: Tensor, position_ids: Tensor | None = None, cache: Any = None) -> Tensor:
        """Hidden states [batch, tokens, model_dim]."""
        hidden = self.through_layers(self.token_embeddings(input_ids), position_ids, cache)
        output: Tensor = self.norm(hidden)
        return output


class OpenELMForCausalLM(OwnCausalLM):
    """The decoder with its output projection."""

    config_class = OpenELMConfig
    base_model_prefix = body_name = "transformer"
    table_name = "token_embeddings"
    _tied_weights_keys = {"lm_head.weight": "transformer.token_embeddings.weight"}

    def __init__(self, config: OpenELMConfig) -> None:
        super().__init__(config)
        self.transformer = OpenELMModel(config)
        self.lm_head = nn.Linear(config.model_dim, config.vocab_size, bias=False)
        self.post_init()
