"""Build the transformers config of a GGUF file from its metadata and tensor shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.errors import SourceCorrupt, UnsupportedModel
from toolkit.sources.architectures.own import register_own_architectures
from toolkit.sources.gguf.families import FAMILIES
from toolkit.sources.gguf.header import GgufHeader
from toolkit.sources.gguf.metadata import Metadata

if TYPE_CHECKING:
    from transformers import PretrainedConfig

# Tokens that end a turn in common chat formats; a file names one end token only, chats end with these.
_END_OF_TURN = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>")
_CONTROL_TOKEN = 3


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
        return AutoConfig.for_model(model_type, **fields), metadata.read
    except (StrictDataclassError, ValueError, TypeError) as error:
        raise SourceCorrupt(
            f"its metadata makes no model: {' '.join(str(error).split())[:200]}",
            subject=str(header.path),
            next_step="Get the file again.",
        ) from None


def end_token_ids(header: GgufHeader) -> list[int]:
    """Tokens that end generation: the ones the file names, then end-of-turn tokens in its vocabulary."""
    metadata = header.metadata
    named = [metadata.get(f"tokenizer.ggml.{key}_token_id") for key in ("eos", "eot", "eom")]
    ids = [token_id for token_id in named if isinstance(token_id, int)]
    types = metadata.get("tokenizer.ggml.token_type", [])
    tokens = metadata.get("tokenizer.ggml.tokens", [])
    if "tokenizer.chat_template" in metadata:
        position = {token: index for index, token in enumerate(tokens)}
        turns = (position.get(token, len(types)) for token in _END_OF_TURN)
        ids += [index for index in turns if index < len(types) and types[index] == _CONTROL_TOKEN]
    return list(dict.fromkeys(ids))


def _token_ids(header: GgufHeader) -> dict[str, Any]:
    ends = end_token_ids(header)
    return {
        "bos_token_id": header.metadata.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": ends[0] if len(ends) == 1 else ends or None,
        "pad_token_id": header.metadata.get("tokenizer.ggml.padding_token_id"),
    }
