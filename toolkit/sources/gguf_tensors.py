"""Where each parameter of a transformers model lies in a GGUF file, and what llama.cpp did to it.

llama.cpp's converter renames tensors and changes a few of them; every change is listed here per
architecture and undone on reading. Reference: llama.cpp's convert_hf_to_gguf.py, class per architecture.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass


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


@dataclass(frozen=True)
class TensorNames:
    """Names of one architecture.

    Attributes:
        outer: transformers module -> GGUF name, outside the layers.
        layer_prefix: transformers name in front of the layer's number.
        inner: transformers module within a layer -> GGUF name within ``blk.N``.
        changes: GGUF name (without ``blk.N``) with its suffix -> what was done to it.
    """

    outer: Mapping[str, str]
    layer_prefix: str
    inner: Mapping[str, str]
    changes: Mapping[str, Change]

    def locate(self, parameter: str) -> tuple[str, Change] | None:
        """GGUF name of a ``state_dict()`` entry and what was done to it; None when it has none."""
        module, _, suffix = parameter.rpartition(".")
        if module in self.outer:
            leaf = f"{self.outer[module]}.{suffix}"
            return leaf, self.changes.get(leaf, Change.NONE)
        layer = re.fullmatch(rf"{re.escape(self.layer_prefix)}\.(\d+)\.(.+)", module)
        if layer is None or layer[2] not in self.inner:
            return None
        leaf = f"{self.inner[layer[2]]}.{suffix}"
        return f"blk.{layer[1]}.{leaf}", self.changes.get(leaf, Change.NONE)


_OUTER = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
_SPLIT_ATTENTION = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
}
_GATED_MLP = {"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
_TWO_NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
_HEAD_NORMS = {"self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}
_FOUR_NORMS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
_GEMMA_INNER = {**_SPLIT_ATTENTION, **_GATED_MLP, **_FOUR_NORMS, **_HEAD_NORMS}

# By GGUF architecture. Mistral is written as "llama".
TENSOR_NAMES: dict[str, TensorNames] = {
    "llama": TensorNames(
        _OUTER,
        "model.layers",
        {**_SPLIT_ATTENTION, **_GATED_MLP, **_TWO_NORMS},
        {
            "attn_q.weight": Change.INTERLEAVED_QUERY_ROWS,
            "attn_q.bias": Change.INTERLEAVED_QUERY_ROWS,
            "attn_k.weight": Change.INTERLEAVED_KEY_ROWS,
            "attn_k.bias": Change.INTERLEAVED_KEY_ROWS,
        },
    ),
    "qwen2": TensorNames(_OUTER, "model.layers", {**_SPLIT_ATTENTION, **_GATED_MLP, **_TWO_NORMS}, {}),
    "qwen3": TensorNames(
        _OUTER, "model.layers", {**_SPLIT_ATTENTION, **_GATED_MLP, **_TWO_NORMS, **_HEAD_NORMS}, {}
    ),
    "gemma3": TensorNames(
        _OUTER,
        "model.layers",
        _GEMMA_INNER,
        {
            "output_norm.weight": Change.PLUS_ONE,
            **{f"{_GEMMA_INNER[norm]}.weight": Change.PLUS_ONE for norm in (*_FOUR_NORMS, *_HEAD_NORMS)},
        },
    ),
    "phi3": TensorNames(
        _OUTER,
        "model.layers",
        {
            "self_attn.qkv_proj": "attn_qkv",
            "self_attn.o_proj": "attn_output",
            "mlp.gate_up_proj": "ffn_up",
            "mlp.down_proj": "ffn_down",
            **_TWO_NORMS,
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
