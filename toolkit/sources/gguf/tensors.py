"""Where each parameter of a transformers model lies in a GGUF file, and what llama.cpp did to it.

llama.cpp's converter renames tensors and changes a few of them; every change is listed here per
architecture and undone on reading. Reference: llama.cpp's convert_hf_to_gguf.py, class per architecture.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field


class Change(enum.Enum):
    """What the converter did to a tensor."""

    NONE = enum.auto()
    # Rows of each head interleaved, for ggml's rotary embedding on neighbouring pairs.
    INTERLEAVED_QUERY_ROWS = enum.auto()
    INTERLEAVED_KEY_ROWS = enum.auto()
    # Norm weights stored as 1 + w, where transformers keeps w.
    PLUS_ONE = enum.auto()
    # transformers' Conv1D keeps [in, out]; the file holds [out, in].
    TRANSPOSED = enum.auto()
    # All queries, then all keys, then all values, where transformers keeps query, key and value of each head.
    JOINED_BY_KIND = enum.auto()
    # A convolution of each channel by itself, without the dimension of its one input.
    ONE_INPUT_LEFT_OUT = enum.auto()
    # A matrix of one row, which some programs write as a vector.
    ONE_ROW = enum.auto()


@dataclass(frozen=True)
class TensorNames:
    """Names of one architecture.

    Attributes:
        outer: transformers module -> GGUF name, outside the layers.
        layer_prefix: transformers name in front of the layer's number.
        inner: transformers module within a layer -> GGUF name within ``blk.N``.
        changes: GGUF name (without ``blk.N``) with its suffix -> what was done to it.
        experts: parameter of all experts within a layer -> GGUF names within ``blk.N``, whose rows follow
            each other in each expert.
    """

    outer: Mapping[str, str]
    layer_prefix: str
    inner: Mapping[str, str]
    changes: Mapping[str, Change]
    experts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def locate(self, parameter: str) -> tuple[tuple[str, ...], Change] | None:
        """GGUF names of a ``state_dict()`` entry and what was done to it; None when it has none."""
        module, _, suffix = parameter.rpartition(".")
        if module in self.outer:
            leaf = f"{self.outer[module]}.{suffix}"
            return (leaf,), self.changes.get(leaf, Change.NONE)
        layer = re.fullmatch(rf"{re.escape(self.layer_prefix)}\.(\d+)\.(.+)\.(.+)", parameter)
        if layer is None:
            return None
        number, inner, suffix = layer.groups()
        if leaves := self.experts.get(f"{inner}.{suffix}"):
            return tuple(f"blk.{number}.{leaf}.weight" for leaf in leaves), Change.NONE
        if inner not in self.inner:
            return None
        leaf = f"{self.inner[inner]}.{suffix}"
        return (f"blk.{number}.{leaf}",), self.changes.get(leaf, Change.NONE)


_OUTER = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
_ATTENTION = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
}
_GATED_MLP = {"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
_MLP = {"mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
_TWO_NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
_HEAD_NORMS = {"self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}
_FOUR_NORMS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
_NORMS_BEHIND = {
    "post_attention_layernorm": "post_attention_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
_EXPERTS = {
    "mlp.experts.gate_up_proj": ("ffn_gate_exps", "ffn_up_exps"),
    "mlp.experts.down_proj": ("ffn_down_exps",),
}
_ROUTER = {"mlp.gate": "ffn_gate_inp"}
_SHARED_EXPERT = {
    "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
    "mlp.shared_expert.gate_proj": "ffn_gate_shexp",
    "mlp.shared_expert.up_proj": "ffn_up_shexp",
    "mlp.shared_expert.down_proj": "ffn_down_shexp",
}
_INTERLEAVED = {
    "attn_q.weight": Change.INTERLEAVED_QUERY_ROWS,
    "attn_q.bias": Change.INTERLEAVED_QUERY_ROWS,
    "attn_k.weight": Change.INTERLEAVED_KEY_ROWS,
    "attn_k.bias": Change.INTERLEAVED_KEY_ROWS,
}
_JOINED = {"attn_qkv.weight": Change.JOINED_BY_KIND, "attn_qkv.bias": Change.JOINED_BY_KIND}


def _like_llama(
    *inner: Mapping[str, str],
    changes: Mapping[str, Change] | None = None,
    outer: Mapping[str, str] = _OUTER,
    experts: Mapping[str, tuple[str, ...]] | None = None,
) -> TensorNames:
    return TensorNames(
        outer,
        "model.layers",
        {name: leaf for part in inner for name, leaf in part.items()},
        changes or {},
        experts or {},
    )


def _plus_one(*norms: Mapping[str, str]) -> dict[str, Change]:
    leaves = ["output_norm", *(leaf for part in norms for leaf in part.values())]
    return {f"{leaf}.weight": Change.PLUS_ONE for leaf in leaves}


# By GGUF architecture. Mistral is written as "llama".
TENSOR_NAMES: dict[str, TensorNames] = {
    "llama": _like_llama(_ATTENTION, _GATED_MLP, _TWO_NORMS, changes=_INTERLEAVED),
    "arcee": _like_llama(_ATTENTION, _MLP, _TWO_NORMS, changes=_INTERLEAVED),
    "granite": _like_llama(_ATTENTION, _GATED_MLP, _TWO_NORMS, changes=_INTERLEAVED),
    "minicpm": _like_llama(_ATTENTION, _GATED_MLP, _TWO_NORMS, changes=_INTERLEAVED),
    "smollm3": _like_llama(_ATTENTION, _GATED_MLP, _TWO_NORMS, changes=_INTERLEAVED),
    # Its norms have no weights.
    "olmo": _like_llama(_ATTENTION, _GATED_MLP, changes=_INTERLEAVED),
    "qwen2": _like_llama(_ATTENTION, _GATED_MLP, _TWO_NORMS),
    "qwen2vl": _like_llama(_ATTENTION, _GATED_MLP, _TWO_NORMS),
    "qwen3": _like_llama(_ATTENTION, _GATED_MLP, _TWO_NORMS, _HEAD_NORMS),
    "qwen3vl": _like_llama(_ATTENTION, _GATED_MLP, _TWO_NORMS, _HEAD_NORMS),
    "qwen2moe": _like_llama(
        _ATTENTION,
        _TWO_NORMS,
        _ROUTER,
        _SHARED_EXPERT,
        changes={"ffn_gate_inp_shexp.weight": Change.ONE_ROW},
        experts=_EXPERTS,
    ),
    "qwen3moe": _like_llama(_ATTENTION, _TWO_NORMS, _HEAD_NORMS, _ROUTER, experts=_EXPERTS),
    "olmoe": _like_llama(_ATTENTION, _TWO_NORMS, _HEAD_NORMS, _ROUTER, experts=_EXPERTS),
    "lfm2": _like_llama(
        {
            "self_attn.q_proj": "attn_q",
            "self_attn.k_proj": "attn_k",
            "self_attn.v_proj": "attn_v",
            "self_attn.out_proj": "attn_output",
            "self_attn.q_layernorm": "attn_q_norm",
            "self_attn.k_layernorm": "attn_k_norm",
        },
        {
            "conv.conv": "shortconv.conv",
            "conv.in_proj": "shortconv.in_proj",
            "conv.out_proj": "shortconv.out_proj",
        },
        {"feed_forward.w1": "ffn_gate", "feed_forward.w2": "ffn_down", "feed_forward.w3": "ffn_up"},
        {"operator_norm": "attn_norm", "ffn_norm": "ffn_norm"},
        changes={"shortconv.conv.weight": Change.ONE_INPUT_LEFT_OUT},
        outer={
            "model.embed_tokens": "token_embd",
            # What llama.cpp calls so is the norm behind the last layer.
            "model.embedding_norm": "token_embd_norm",
            "lm_head": "output",
        },
    ),
    "exaone": _like_llama(_ATTENTION, _GATED_MLP, _TWO_NORMS),
    "seed_oss": _like_llama(
        _ATTENTION,
        _GATED_MLP,
        {"input_layernorm": "attn_norm", "post_attention_layernorm": "post_attention_norm"},
    ),
    "olmo2": _like_llama(_ATTENTION, _GATED_MLP, _NORMS_BEHIND, _HEAD_NORMS),
    "exaone4": _like_llama(_ATTENTION, _GATED_MLP, _NORMS_BEHIND, _HEAD_NORMS),
    # One norm for attention and feed-forward, side by side.
    "cohere2": _like_llama(_ATTENTION, _GATED_MLP, {"input_layernorm": "attn_norm"}),
    "command-r": _like_llama(_ATTENTION, _GATED_MLP, {"input_layernorm": "attn_norm"}),
    "stablelm": _like_llama(_ATTENTION, _GATED_MLP, _TWO_NORMS),
    "nemotron": _like_llama(_ATTENTION, _MLP, _TWO_NORMS, changes=_plus_one(_TWO_NORMS)),
    "starcoder2": _like_llama(_ATTENTION, {"mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}, _TWO_NORMS),
    "glm4": _like_llama(
        _ATTENTION,
        {"mlp.gate_up_proj": "ffn_up", "mlp.down_proj": "ffn_down"},
        _TWO_NORMS,
        {"post_self_attn_layernorm": "post_attention_norm", "post_mlp_layernorm": "post_ffw_norm"},
    ),
    "gemma": _like_llama(_ATTENTION, _GATED_MLP, _TWO_NORMS, changes=_plus_one(_TWO_NORMS)),
    "gemma2": _like_llama(_ATTENTION, _GATED_MLP, _FOUR_NORMS, changes=_plus_one(_FOUR_NORMS)),
    "gemma3": _like_llama(
        _ATTENTION, _GATED_MLP, _FOUR_NORMS, _HEAD_NORMS, changes=_plus_one(_FOUR_NORMS, _HEAD_NORMS)
    ),
    "phi2": _like_llama(
        _ATTENTION,
        {"self_attn.dense": "attn_output", "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down"},
        {"input_layernorm": "attn_norm"},
        outer={
            "model.embed_tokens": "token_embd",
            "model.final_layernorm": "output_norm",
            "lm_head": "output",
        },
    ),
    "phi3": _like_llama(
        {"self_attn.qkv_proj": "attn_qkv", "self_attn.o_proj": "attn_output"},
        {"mlp.gate_up_proj": "ffn_up", "mlp.down_proj": "ffn_down"},
        _TWO_NORMS,
    ),
    "gptneox": TensorNames(
        {
            "gpt_neox.embed_in": "token_embd",
            "gpt_neox.final_layer_norm": "output_norm",
            "embed_out": "output",
            "lm_head": "output",
        },
        "gpt_neox.layers",
        {
            "attention.query_key_value": "attn_qkv",
            "attention.dense": "attn_output",
            "mlp.dense_h_to_4h": "ffn_up",
            "mlp.dense_4h_to_h": "ffn_down",
            **_TWO_NORMS,
        },
        _JOINED,
    ),
    "bloom": TensorNames(
        {
            "transformer.word_embeddings": "token_embd",
            "transformer.word_embeddings_layernorm": "token_embd_norm",
            "transformer.ln_f": "output_norm",
            "lm_head": "output",
        },
        "transformer.h",
        {
            "self_attention.query_key_value": "attn_qkv",
            "self_attention.dense": "attn_output",
            "mlp.dense_h_to_4h": "ffn_up",
            "mlp.dense_4h_to_h": "ffn_down",
            **_TWO_NORMS,
        },
        _JOINED,
    ),
    "qwen": TensorNames(
        {"transformer.wte": "token_embd", "transformer.ln_f": "output_norm", "lm_head": "output"},
        "transformer.h",
        {
            "ln_1": "attn_norm",
            "attn.c_attn": "attn_qkv",
            "attn.c_proj": "attn_output",
            "ln_2": "ffn_norm",
            "mlp.w1": "ffn_up",
            "mlp.w2": "ffn_gate",
            "mlp.c_proj": "ffn_down",
        },
        {},
    ),
    "gpt2": TensorNames(
        {
            "transformer.wte": "token_embd",
            "transformer.wpe": "position_embd",
            "transformer.ln_f": "output_norm",
            "lm_head": "output",
        },
        "transformer.h",
        {
            "ln_1": "attn_norm",
            "attn.c_attn": "attn_qkv",
            "attn.c_proj": "attn_output",
            "ln_2": "ffn_norm",
            "mlp.c_fc": "ffn_up",
            "mlp.c_proj": "ffn_down",
        },
        {f"{leaf}.weight": Change.TRANSPOSED for leaf in ("attn_qkv", "attn_output", "ffn_up", "ffn_down")},
    ),
}
