"""Every tensor and key of a GGUF file that could change the result is read, or the file is refused."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from toolkit.errors import SourceError, UnsupportedModel
from toolkit.sources.adapters import refuse_adapter_tensors
from toolkit.sources.gguf.header import GgufHeader
from toolkit.sources.gguf.tensors import TENSOR_NAMES

# Keys that llama.cpp's graphs of these architectures do not read, where no config is made from them.
_UNUSED = {
    "attention.head_count_kv",
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.freq_base_swa",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "tensor_data_layout",
    "use_parallel_residual",
    "vocab_size",
}
# What a key must say to change nothing, where 0 is not all that does so, or does not: a model without causal
# attention, or with its scores times 0, is another one.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "attention.causal": (True,),
    "embedding_scale": (0.0, 1.0),
    "logit_scale": (0.0, 1.0),
    "residual_scale": (0.0, 1.0),
    "rope.scaling.attn_factor": (1.0,),
    "rope.scaling.yarn_attn_factor": (1.0,),
    "rope.scaling.yarn_ext_factor": (-1.0, 1.0),
    "rope.scaling.yarn_beta_fast": (32.0,),
    "rope.scaling.yarn_beta_slow": (1.0,),
}
_FOLDER = "Use the model's safetensors folder."


def refuse_other_kinds(header: GgufHeader) -> None:
    """Refuse files that are no language models.

    Raises:
        SourceError: an adapter, a projector of images or sound, or an importance matrix.
        UnsupportedModel: a mixture of experts of an architecture whose experts are not read.
    """
    kind = header.metadata.get("general.type", "model")
    subject = str(header.path)
    if kind == "adapter" or any(".lora_" in name for name in header.tensors):
        base = header.metadata.get("general.base_model.0.name")
        raise SourceError(
            f"is an adapter{f' of {base}' if base else ''}, not a whole model",
            subject=subject,
            next_step="Merge it first: llama-export-lora -m MODEL.gguf --lora ADAPTER.gguf -o MERGED.gguf",
        )
    if kind in ("mmproj", "projector") or header.architecture == "clip":
        raise SourceError(
            "is the projector of a model that sees or hears, without its language model",
            subject=subject,
            next_step="Give the GGUF file of the language model that lies beside it.",
        )
    if kind != "model":
        raise SourceError(
            f"is of type {kind!r}, not a model", subject=subject, next_step="Give the model's own GGUF file."
        )
    experts = header.metadata.get(f"{header.architecture}.expert_count", 0)
    if header.architecture in TENSOR_NAMES and TENSOR_NAMES[header.architecture].experts:
        return
    if experts or any(re.search(r"\.ffn_gate_inp\.", name) for name in header.tensors):
        raise UnsupportedModel(
            f"is a mixture of {experts or 'several'} experts, which is not read from GGUF files of "
            f"architecture {header.architecture!r}",
            subject=subject,
            next_step=_FOLDER,
        )


def check_all_read(header: GgufHeader, read: Iterable[str], keys: Collection[str]) -> None:
    """Refuse a file with tensors or keys that would be passed over.

    Args:
        header: the file's.
        read: GGUF names of the tensors that are read.
        keys: the keys, and tensors of rotary factors, that the config is made from.

    Raises:
        SourceError: names them.
    """
    subject = str(header.path)
    taken = {*read, *keys}
    unread = [name for name in header.tensors if name not in taken]
    refuse_adapter_tensors(unread, subject=subject)
    if unread:
        more = ", ..." if len(unread) > 3 else ""
        raise SourceError(
            f"{len(unread)} stored tensors belong to no part of a {header.architecture} model as it is read "
            f"here: {', '.join(unread[:3])}{more}",
            subject=subject,
            next_step=_FOLDER,
        )
    prefix = f"{header.architecture}."
    for key, value in header.metadata.items():
        if key.startswith(prefix) and key not in keys and not _harmless(key.removeprefix(prefix), value):
            raise SourceError(
                f"{key} is {value!r}, which is not read and may change the result",
                subject=subject,
                next_step=_FOLDER,
            )


def _harmless(key: str, value: Any) -> bool:
    if key in _UNUSED:
        return True
    return value in _NEUTRAL.get(key, (0, None, False, "", []))
