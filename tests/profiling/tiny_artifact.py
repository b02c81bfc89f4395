"""A whole artifact around the tiny decoder: real ONNX, real tokenizer, real manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tiny_decoder import HEAD_DIM, HEADS, HIDDEN, KV_HEADS, LAYERS, VOCAB, TinyDecoder

from toolkit.artifact import (
    Architecture,
    Artifact,
    Backend,
    Conversion,
    GreedyReference,
    Manifest,
    Quantization,
    SourceInfo,
    TensorQuantization,
    file_entries,
    publish,
    staging,
)
from toolkit.chat_format import ChatFormat
from toolkit.models.layers import plain_layers

CONTEXT_LENGTH = 256
REFERENCE_PROMPT = [5, 17, 211, 3, 42]
REFERENCE_TOKENS = 12
EOS = 330
CHAT_TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}> {{ message['content'] }} {% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
_PLAIN = TensorQuantization(scheme="fp32", group_size=None, symmetric=True, algorithm="rtn")


def make_artifact(
    path: Path,
    decoder: TinyDecoder,
    *,
    reference: GreedyReference | None = None,
    name: str = "tiny-ort-fp32",
    context_length: int = CONTEXT_LENGTH,
    texts: Mapping[str, str] = MappingProxyType({}),
    chat: ChatFormat | None = None,
) -> Artifact:
    """Write an artifact; its greedy reference comes from NumPy unless another one is given.

    Args:
        texts: files beside those that every artifact has, or in their place.
        chat: what its manifest says of the chat template.
    """
    reference = reference or GreedyReference(
        prompt_ids=REFERENCE_PROMPT, token_ids=decoder.greedy(REFERENCE_PROMPT, REFERENCE_TOKENS)
    )
    with staging(path, overwrite=False) as folder:
        decoder.save(folder)
        (folder / "tokenizer.json").write_text(tokenizer_json())
        (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
        (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": None, "eos_token": "w330"}))
        (folder / "genai_config.json").write_text(json.dumps({"model": {"eos_token_id": [EOS]}}))
        for file, text in texts.items():
            (folder / file).write_text(text)
        manifest = _manifest(name, folder, reference, context_length)
        return publish(folder, path, manifest.model_copy(update={"chat": chat}))


def tokenizer_json() -> str:
    """Words w0 .. w330 and the roles' marks, split at white space."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {f"w{number}": number for number in range(VOCAB - 2)}
    vocabulary |= {"<user>": VOCAB - 2, "w330": VOCAB - 1}
    vocabulary["<assistant>"] = vocabulary.pop("w0")
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="w1"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.Fuse()
    text: str = tokenizer.to_str()
    return text


def _manifest(name: str, folder: Path, reference: GreedyReference, context_length: int) -> Manifest:
    files = file_entries(folder)
    return Manifest(
        schema_="slm-artifact/1",
        name=name,
        created_utc="2026-01-01T00:00:00Z",
        source=SourceInfo(kind="random", id="random:tiny", revision=None, files=[]),
        architecture=Architecture(
            model_type="llama",
            hidden_size=HIDDEN,
            vocab_size=VOCAB,
            max_positions=1024,
            tied_embeddings=False,
            unique_parameters=60_000,
            stored_parameters=60_000,
            layers=plain_layers(LAYERS, heads=HEADS, kv_heads=KV_HEADS, head_dim=HEAD_DIM),
        ),
        backend=Backend(name="onnxruntime", version="1.31.1", opset=20),
        quantization=Quantization(preset=None, linear=_PLAIN, embedding=_PLAIN, lm_head=_PLAIN),
        context_length=context_length,
        logits="last",
        model_file="model.onnx",
        tokenizer_files=["tokenizer.json", "tokenizer_config.json"],
        chat_template_file="chat_template.jinja",
        files=files,
        parity=None,
        greedy_reference=reference,
        conversion=Conversion(seconds=1.0, peak_rss_bytes=1, capture_cached=False, stage_seconds={}),
        tools={},
    )
