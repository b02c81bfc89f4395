"""OpenLM, as DCLM uses it (github.com/mlfoundations/open_lm, arXiv 2406.11794).

Llama with layer norms that have a gain and no bias, also over whole queries and keys, and with gate and up in
one matrix. Written from the paper and the published checkpoints' fields, names and shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.models.llama.modeling_llama import LlamaRMSNorm, LlamaRotaryEmbedding

from toolkit.sources.architectures.decoder import OwnAttention, OwnBody, OwnCausalLM

_NORMS: dict[str, Callable[[int, float], nn.Module]] = {
    "default_layer_norm": nn.LayerNorm,
    "lp_layer_norm": nn.LayerNorm,
    "gain_only_layer_norm": lambda width, eps: nn.LayerNorm(width, eps, bias=False),
    "gain_only_lp_layer_norm": lambda width, eps: nn.LayerNorm(width, eps, bias=False),
    "no_wb_layer_norm": lambda width, eps: nn.LayerNorm(width, eps, elementwise_affine=False),
    "rms_norm": LlamaRMSNorm,
}
_FEED_FORWARDS = ("swiglu", "swiglu_torch")
# Fields of a training run's arguments that say what the model is.
_FROM_ARGUMENTS = {
    "dim": ("dim", "hidden_dim"),
    "n_layers": ("n_layers",),
    "n_heads": ("n_heads",),
    "vocab_size": ("vocab_size",),
    "seq_len": ("seq_len",),
    "norm_eps": ("norm_eps",),
    "model_norm": ("model_norm",),
    "apply_qk_norm": ("apply_qk_norm", "qk_norm"),
    "post_embed_norm": ("post_embed_norm",),
    "weight_tying": ("weight_tying",),
    "positional_embedding_type": ("positional_embedding_type",),
    "ffn_type": ("ffn_type",),
    "moe_freq": ("moe_freq",),
}


class OpenLMConfig(PreTrainedConfig):  # type: ignore[misc]
    """As published: in fields of its own, or in ``params_args_dict``, the arguments of the training run."""

    model_type = "openlm"
    attribute_map = {
        "hidden_size": "dim",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "max_position_embeddings": "seq_len",
        "tie_word_embeddings": "weight_tying",
    }

    params: dict[str, Any] | None = None
    params_args_dict: dict[str, Any] | None = None
    dim: Any = None
    n_layers: Any = None
    n_heads: Any = None
    vocab_size: int = 50432
    seq_len: int = 2048
    norm_eps: float = 1e-5
    model_norm: str = "gain_only_lp_layer_norm"
    apply_qk_norm: bool = False
    post_embed_norm: bool = False
    weight_tying: bool = False
    positional_embedding_type: str = "rotary"
    ffn_type: str = "swiglu"
    moe_freq: int = 0
    hidden_act: str = "silu"
    head_dim: Any = None
    intermediate_size: Any = None
    rope_parameters: dict[str, Any] | None = None
    initializer_range: float = 0.02
    use_cache: bool = True
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = 0
    pad_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        arguments = {**(self.params_args_dict or {}), **(self.params or {})}
        for field, names in _FROM_ARGUMENTS.items():
            for name in names:
                if arguments.get(name) is not None:
                    setattr(self, field, arguments[name])
        missing = [name for name in ("dim", "n_layers", "n_heads") if getattr(self, name) is None]
        if missing:
            raise ValueError(f"{', '.join(missing)} must be given, in the config or in its params_args_dict")
        if self.positional_embedding_type != "rotary":
            raise ValueError(f"positional_embedding_type {self.positional_embedding_type!r}: rotary is known")
        if self.ffn_type not in _FEED_FORWARDS or self.moe_freq:
            raise ValueError(f"ffn_type {self.ffn_type!r}: {' and '.join(_FEED_FORWARDS)} are known")
        if self.model_norm not in _NORMS:
            raise ValueError(f"model_norm {self.model_norm!r}: {', '.join(_NORMS)} are known")
        self.head_dim = self.dim // self.n_heads
        # Two thirds of four times the width, to the next multiple of 256.
        self.intermediate_size = -(-int(2 * 4 * self.dim / 3) // 256) * 256
        self.rope_parameters = {"rope_type": "default", "rope_theta": 10000.0}
        super().__post_init__(**kwargs)

    def norm(self, width: int) -> nn.Module:
        """A norm over so many numbers."""
        return _NORMS[self.model_norm](width, self.norm_eps)


class _Attention(OwnAttention):
    def __init__(self, config: OpenLMConfig, layer: int) -> None:
        super().__init__(config, layer, head_dim=config.head_dim)
        width = config.n_heads * self.head_dim
        self.in_proj = nn.Linear(config.dim, 3 * width, bias=False)
        self.out_proj = nn.Linear(width, config.dim, bias=False)
        self.q_norm = config.norm(width) if config.apply_qk_norm else nn.Identity()
        self.k_norm = config.norm(width) if config.apply_qk_norm else nn.Identity()

    def forward(self, hidden: Tensor, angles: tuple[Tensor, Tensor], mask: Any, cache: Any) -> Tensor:
        query, key, value = self.in_proj(hidden).chunk(3, dim=-1)
        query, key = self.heads(self.q_norm(query)), self.heads(self.k_norm(key))
        output: Tensor = self.out_proj(self.attend(query, key, self.heads(value), angles, mask, cache))
        return output


class _FeedForward(nn.Module):
    def __init__(self, config: OpenLMConfig) -> None:
        super().__init__()
        self.w12 = nn.Linear(config.dim, 2 * config.intermediate_size, bias=False)
        self.w3 = nn.Linear(config.intermediate_size, config.dim, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        gate, up = self.w12(hidden).chunk(2, dim=-1)
        down: Tensor = self.w3(nn.functional.silu(gate) * up)
        return down


class _Layer(nn.Module):
    def __init__(self, config: OpenLMConfig, layer: int) -> None:
        super().__init__()
        self.attention = _Attention(config, layer)
        self.feed_forward = _FeedForward(config)
        self.attention_norm = config.norm(config.dim)
        self.ffn_norm = config.norm(config.dim)

    def forward(self, hidden: Tensor, angles: tuple[Tensor, Tensor], mask: Any, cache: Any) -> Tensor:
        hidden = hidden + self.attention(self.attention_norm(hidden), angles, mask, cache)
        output: Tensor = hidden + self.feed_forward(self.ffn_norm(hidden))
        return output


class OpenLMModel(OwnBody):
    """The decoder, with its output matrix among its modules as in the checkpoints."""

    config_class = OpenLMConfig

    def __init__(self, config: OpenLMConfig) -> None:
        super().__init__(config)
        self.tok_embeddings = nn.Embedding(config.vocab_size, config.dim)
        self.post_embed_norm = config.norm(config.dim) if config.post_embed_norm else nn.Identity()
        self.layers = nn.ModuleList(_Layer(config, layer) for layer in range(config.n_layers))
        self.norm = config.norm(config.dim)
        self.output = nn.Linear(config.dim, config.vocab_size, bias=False)
        self.rotary_emb = LlamaRotaryEmbedding(config)
        self.post_init()

    def forward(self, input_ids: Tensor, position_ids: Tensor | None = None, cache: Any = None) -> Tensor:
        """Hidden states [batch, tokens, dim]."""
        hidden = self.post_embed_norm(self.tok_embeddings(input_ids))
        output: Tensor = self.norm(self.through_layers(hidden, position_ids, cache))
        return output


class OpenLMForCausalLM(OwnCausalLM):
    """The decoder with its output matrix."""

    config_class = OpenLMConfig
    base_model_prefix = "model"
    table_name = "tok_embeddings"
    head_name = "model.output"
    _tied_weights_keys = {"model.output.weight": "model.tok_embeddings.weight"}

    def __init__(self, config: OpenLMConfig) -> None:
        super().__init__(config)
        self.model = OpenLMModel(config)
        self.post_init()
