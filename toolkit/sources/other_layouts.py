"""Weights under the names of another library, or cut otherwise: said so, not as what is missing."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from toolkit.errors import SourceError

# A name that only one library gives -> whose it is, and how it is saved under transformers' names.
_LIBRARIES = (
    (
        re.compile(r"^layers\.\d+\.attn\.(?:q_proj|output_proj)\.weight$"),
        "torchtune",
        "Save it with torchtune's FullModelHFCheckpointer, which writes transformers' names.",
    ),
    (
        re.compile(r"^layers\.\d+\.attention\.(?:wq|wo)\.weight$"),
        "their publisher (Meta's and Mistral's own layout)",
        "Get the repository of the same model in transformers' layout.",
    ),
    (
        re.compile(
            r"^(?:transformer|model)\.h\.\d+\.attn\.(?:attn|qkv)\.weight$|^transformer\.h\.\d+\.norm_1\.weight$"
        ),
        "LitGPT",
        "Convert it with `litgpt convert_from_litgpt`, which writes transformers' names.",
    ),
    (
        re.compile(r"^(?:decoder|language_model\.encoder|module\.decoder)\.layers\.\d+\.self_attention\."),
        "Megatron",
        "Convert it with the exporter of the program that trained it, which writes transformers' names.",
    ),
    (
        re.compile(r"^blk\.\d+\.attn_q\.weight$"),
        "llama.cpp",
        "Give the GGUF file that the tensors are from.",
    ),
)
# What one stored matrix may hold the rows of, beside the names of the whole.
_FUSED = (
    (("q_proj", "k_proj", "v_proj"), ("qkv_proj", "query_key_value", "Wqkv", "W_pack", "c_attn", "qkv")),
    (("gate_proj", "up_proj"), ("gate_up_proj", "gate_up", "w12", "up_gate_proj")),
)


def refuse_other_layouts(missing: Sequence[str], unread: Collection[str], *, subject: str) -> None:
    """Refuse a checkpoint that holds what is missing under names, or in matrices, of another library.

    Args:
        missing: parameters that no tensor was found for.
        unread: names of the tensors that are not read.
        subject: folder or file, for messages.

    Raises:
        SourceError: says whose names they are, or which matrices are stored as one.
    """
    for name in unread:
        for pattern, library, then in _LIBRARIES:
            if missing and pattern.search(name):
                raise SourceError(
                    f"its tensors have the names of {library} ({name}), not transformers' ({missing[0]})",
                    subject=subject,
                    next_step=then,
                )
    stored = set(unread)
    for parameter in missing:
        for parts, wholes in _FUSED:
            for whole in wholes if f".{parts[0]}." in parameter else ():
                fused = parameter.replace(f".{parts[0]}.", f".{whole}.")
                if fused in stored:
                    raise SourceError(
                        f"{', '.join(parts)} are stored as one matrix ({fused}), which a model of this type "
                        "does not have",
                        subject=subject,
                        next_step="Give the model's config, if it is of another type, or cut the rows apart: "
                        f"torch.split(tensor, [rows of {', '.join(parts)}]).",
                    )
