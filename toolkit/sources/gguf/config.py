"""Build the transformers config of a GGUF file from its metadata and tensor shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.errors import SourceCorrupt, UnsupportedModel
from toolkit.sources.architectures.own import register_own_architectures
from toolkit.sources.config_values import check_values
from toolkit.sources.gguf.end_tokens import end_token_ids
from toolkit.sources.gguf.families import FAMILIES
from toolkit.sources.gguf.header import GgufHeader
from toolkit.sources.gguf.metadata import Metadata
from toolkit.sources.rotary_values import check_rotary

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def read_config(header: GgufHeader) -> tuple[PretrainedConfig, set[str]]:
    """The config of the file's text decoder, and the keys that it was made from.

    Raises:
        UnsupportedModel: an architecture that is not known here.
        SourceCorrupt: metadata that the architecture needs is missing or of the wrong type.
        SourceError: it says something that the config cannot.
    """
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    if header.architecture not in FAMILIES:
        raise UnsupportedModel(
            f"GGUF architecture {header.architecture!r} is not supported",
            subject=str(header.path),
            next_step=f"Supported: {', '.join(FAMILIES)}. Other models load from their safetensors folder.",
        )
    register_own_architectures()
    metadata = Metadata(header)
    fields = FAMILIES[header.architecture](metadata) | _token_ids(header)
    model_type = fields.pop("model_type")
    try:
        config = AutoConfig.for_model(model_type, **fields)
    except (StrictDataclassError, ValueError, TypeError) as error:
        raise SourceCorrupt(
            f"its metadata makes no model: {' '.join(str(error).split())[:200]}",
            subject=str(header.path),
            next_step="Get the file again.",
        ) from None
    check_rotary(config, subject=str(header.path))
    check_values(config, subject=str(header.path))
    return config, metadata.read


def _token_ids(header: GgufHeader) -> dict[str, Any]:
    ends = end_token_ids(header)
    return {
        "bos_token_id": header.metadata.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": ends[0] if len(ends) == 1 else ends or None,
        "pad_token_id": header.metadata.get("tokenizer.ggml.padding_token_id"),
    }
