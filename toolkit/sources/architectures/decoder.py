"""What own architectures share: attention, the way through the layers, and the output matrix on top."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache
from transformers.masking_utils import create_causal_mask
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb, eager_attention_forward


class OwnAttention(nn.Module):
    """Causal attention over rotated heads; subclasses make queries, keys and values, and project the result.

    Args:
        config: of the model.
        layer: its number, under which it is found in the cache.
        head_dim: numbers in a head.
        groups: query heads that share a KV head.
    """

    def __init__(self, config: Any, layer: int, *, head_dim: int, groups: int = 1) -> None:
        super().__init__()
        # transformers' attention functions read these.
        self.config = config
        self.layer_idx = layer
        self.is_causal = True
        self.head_dim = head_dim
        self.scaling = head_dim**-0.5
        self.num_key_value_groups = groups

    def heads(self, states: Tensor) -> Tensor:
        """[batch, tokens, heads * head_dim] as [batch, heads, tokens, head_dim]."""
        return states.view(*states.shape[:2], -1, self.head_dim).transpose(1, 2)

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        angles: tuple[Tensor, Tensor],
        mask: Any,
        cache: Any,
    ) -> Tensor:
        """Heads as :meth:`heads` gives them -> [batch, tokens, query heads * head_dim]."""
        query, key = apply_rotary_pos_emb(query, key, *angles)
        if cache is not None:
            key, value = cache.update(key, value, self.layer_idx)
        name = self.config._attn_implementation
        attention = ALL_ATTENTION_FUNCTIONS.get_interface(name, eager_attention_forward)
        output, _ = attention(self, query, key, value, mask, scaling=self.scaling, dropout=0.0)
        joined: Tensor = output.flatten(2).contiguous()
        return joined


class OwnModel(PreTrainedModel):  # type: ignore[misc]
    """A transformers model whose attention goes through transformers' attention functions."""

    _supports_sdpa = True
    _supports_attention_backend = True


class OwnBody(OwnModel):
    """A decoder without its output matrix; subclasses make ``layers``, ``rotary_emb`` and the rest.

    A layer is called with hidden states, (cosines, sines), mask and cache, and gives hidden states.
    """

    layers_name = "layers"

    def through_layers(self, hidden: Tensor, position_ids: Tensor | None, cache: Any) -> Tensor:
        """Hidden states [batch, tokens, width] after the last layer."""
        if position_ids is None:
            seen = 0 if cache is None else cache.get_seq_length()
            position_ids = torch.arange(seen, seen + hidden.shape[1], device=hidden.device)[None]
        mask = create_causal_mask(
            config=self.config,
            inputs_embeds=hidden,
            attention_mask=None,
            past_key_values=cache,
            position_ids=position_ids,
        )
        angles = self.rotary_emb(hidden, position_ids)
        for layer in getattr(self, self.layers_name):
            hidden = layer(hidden, angles, mask, cache)
        return hidden


class OwnCausalLM(OwnModel):
    """A decoder with its output matrix; subclasses say where the two and the token table are.

    Attributes:
        body_name: attribute of the decoder.
        table_name: attribute of the decoder's token table.
        head_name: path of the output matrix.
    """

    body_name = "model"
    table_name = "embed_tokens"
    head_name = "lm_head"

    def get_input_embeddings(self) -> nn.Module:
        """The token table."""
        table: nn.Module = self.get_submodule(f"{self.body_name}.{self.table_name}")
        return table

    def get_output_embeddings(self) -> nn.Module:
        """The output matrix."""
        head: nn.Module = self.get_submodule(self.head_name)
        return head

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits [batch, tokens, vocab]."""
        cache = past_key_values
        if use_cache and cache is None:
            cache = DynamicCache(config=self.config)
        hidden = getattr(self, self.body_name)(input_ids, position_ids, cache)
        return CausalLMOutputWithPast(logits=self.get_output_embeddings()(hidden), past_key_values=cache)
