"""Qwen, the first version (arXiv 2309.16609): queries, keys and values in one matrix, biases for these alone.

Written from the paper, the published config's fields and the checkpoints' names and shapes, so that the code
that comes with them need not run. Up to the length that it was trained for, Qwen's dynamic NTK scaling and
its LogN attention change nothing; longer contexts are not offered.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.models.llama.modeling_llama import LlamaRMSNorm, LlamaRotaryEmbedding

from toolkit.sources.architectures.decoder import OwnAttention, OwnBody, OwnCausalLM


class QWenConfig(PreTrainedConfig):  # type: ignore[misc]
    """As published; ``intermediate_size`` counts the two matrices of the feed-forward together."""

    model_type = "qwen"

    vocab_size: int = 151936
    hidden_size: int = 4096
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    intermediate_size: int = 22016
    kv_channels: int = 128
    layer_norm_epsilon: float = 1e-6
    max_position_embeddings: int = 8192
    seq_length: int | None = None
    rotary_emb_base: int | float = 10000
    rotary_pct: float = 1.0
    no_bias: bool = True
    head_dim: int | None = None
    hidden_act: str = "silu"
    rope_parameters: dict[str, Any] | None = None
    initializer_range: float = 0.02
    use_cache: bool = True
    tie_word_embeddings: bool = False
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = 151643
    pad_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        if self.seq_length is not None:
            # What it was trained for; max_position_embeddings may say what NTK scaling stretches that to.
            self.max_position_embeddings = min(self.max_position_embeddings, self.seq_length)
        if self.rotary_pct != 1.0:
            raise ValueError(f"rotary_pct {self.rotary_pct}: every published Qwen turns whole heads")
        self.head_dim = self.kv_channels
        self.num_key_value_heads = self.num_attention_heads
        self.rope_parameters = {"rope_type": "default", "rope_theta": float(self.rotary_emb_base)}
        super().__post_init__(**kwargs)


class _Attention(OwnAttention):
    def __init__(self, config: QWenConfig, layer: int) -> None:
        super().__init__(config, layer, head_dim=config.kv_channels)
        width = config.num_attention_heads * self.head_dim
        self.c_attn = nn.Linear(config.hidden_size, 3 * width, bias=True)
        self.c_proj = nn.Linear(width, config.hidden_size, bias=not config.no_bias)

    def forward(self, hidden: Tensor, angles: tuple[Tensor, Tensor], mask: Any, cache: Any) -> Tensor:
        query, key, value = (self.heads(part) for part in self.c_attn(hidden).chunk(3, dim=-1))
        output: Tensor = self.c_proj(self.attend(query, key, value, angles, mask, cache))
        return output


class _FeedForward(nn.Module):
    def __init__(self, config: QWenConfig) -> None:
        super().__init__()
        width, bias = config.intermediate_size // 2, not config.no_bias
        self.w1 = nn.Linear(config.hidden_size, width, bias=bias)
        self.w2 = nn.Linear(config.hidden_size, width, bias=bias)
        self.c_proj = nn.Linear(width, config.hidden_size, bias=bias)

    def forward(self, hidden: Tensor) -> Tensor:
        down: Tensor = self.c_proj(self.w1(hidden) * nn.functional.silu(self.w2(hidden)))
        return down


class _Layer(nn.Module):
    def __init__(self, config: QWenConfig, layer: int) -> None:
        super().__init__()
        self.ln_1 = LlamaRMSNorm(config.hidden_size, config.layer_norm_epsilon)
        self.attn = _Attention(config, layer)
        self.ln_2 = LlamaRMSNorm(config.hidden_size, config.layer_norm_epsilon)
        self.mlp = _FeedForward(config)

    def forward(self, hidden: Tensor, angles: tuple[Tensor, Tensor], mask: Any, cache: Any) -> Tensor:
        hidden = hidden + self.attn(self.ln_1(hidden), angles, mask, cache)
        output: Tensor = hidden + self.mlp(self.ln_2(hidden))
        return output


class QWenModel(OwnBody):
    """The decoder without its output matrix."""

    config_class = QWenConfig
    layers_name = "h"

    def __init__(self, config: QWenConfig) -> None:
        super().__init__(config)
        self.wte = nn.Embedding(config.vocab_size, config.hidden_size)
        self.h = nn.ModuleList(_Layer(config, layer) for layer in range(config.num_hidden_layers))
        self.ln_f = LlamaRMSNorm(config.hidden_size, config.layer_norm_epsilon)
        self.rotary_emb = LlamaRotaryEmbedding(config)
        self.post_init()

    def forward(self, input_ids: Tensor, position_ids: Tensor | None = None, cache: Any = None) -> Tensor:
        """Hidden states [batch, tokens, hidden_size]."""
        output: Tensor = self.ln_f(self.through_layers(self.wte(input_ids), position_ids, cache))
        return output


class QWenLMHeadModel(OwnCausalLM):
    """The decoder with its output matrix."""

    config_class = QWenConfig
    base_model_prefix = body_name = "transformer"
    table_name = "wte"
    _tied_weights_keys = {"lm_head.weight": "transformer.wte.weight"}

    def __init__(self, config: QWenConfig) -> None:
        super().__init__(config)
        self.transformer = QWenModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()
