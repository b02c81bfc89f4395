"""Tokens that end a text: the ones that a GGUF file names, and those that llama.cpp knows by their texts.

Reference: llama.cpp, ``llama_vocab::impl::load`` (the set of end-of-generation tokens).
"""

from __future__ import annotations

from toolkit.sources.gguf.header import GgufHeader

# Whatever a file says of their type, and with or without a chat template.
_TEXTS = (
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
)
# Of filling in the middle of a file: the key's token, else the first text that the vocabulary has.
_FILE_TEXTS = {
    "fim_pad": ("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"),
    "fim_rep": ("<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"),
    "fim_sep": ("<|file_sep|>",),
}
# Where a vocabulary has all of the first, the last one stands within answers: harmony, Solar, Gemma 4.
_WITHIN_ANSWERS = (
    (("<|return|>", "<|call|>"), "<|end|>"),
    (("<|return|>", "<|calls|>"), "<|end|>"),
    (("<|flush|>", "<|call|>"), "<|end|>"),
    (("<|flush|>", "<|calls|>"), "<|end|>"),
    (("<|tool_response>",), "</s>"),
)


def end_texts() -> frozenset[str]:
    """Every text that llama.cpp knows a token by that ends a text."""
    return frozenset((*_TEXTS, *(text for texts in _FILE_TEXTS.values() for text in texts)))


def end_token_ids(header: GgufHeader) -> list[int]:
    """Every token that ends a text, the file's own end token first."""
    metadata = header.metadata
    tokens = metadata.get("tokenizer.ggml.tokens", [])
    known = end_texts()
    place = {token: index for index, token in enumerate(tokens) if token in known}
    named = {
        key: metadata.get(f"tokenizer.ggml.{key}_token_id") for key in ("eos", "eot", "eom", *_FILE_TEXTS)
    }
    ids = [named[key] for key in ("eos", "eot", "eom")]
    ids += [place.get(text) for text in _TEXTS]
    for key, texts in _FILE_TEXTS.items():
        found = next((place[text] for text in texts if text in place), None)
        ids.append(found if named[key] is None else named[key])
    ends = dict.fromkeys(one for one in ids if isinstance(one, int))
    for beside, text in _WITHIN_ANSWERS:
        if all(place.get(one) in ends for one in beside):
            ends.pop(place.get(text, -1), None)
    return list(ends)
