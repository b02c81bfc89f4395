"""A tiny artifact that can be talked with, and what must come of a conversation with it."""

from __future__ import annotations

import json
from pathlib import Path

from tiny_artifact import make_artifact
from tiny_decoder import TinyDecoder
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from toolkit.artifact import Artifact
from toolkit.chat_format import ChatFormat
from toolkit.chat_template.environment import render_with_transformers
from toolkit.chat_template.splitting import split_template

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
STOP = 257


def tokenizer_of_bytes() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in ("<|im_start|>", "<|im_end|>")])
    assert tokenizer.token_to_id("<|im_end|>") == STOP
    return tokenizer


def make_talking_artifact(path: Path, decoder: TinyDecoder) -> Artifact:
    chat = split_template(CHATML, {})
    assert isinstance(chat, ChatFormat)
    texts = {
        "tokenizer.json": tokenizer_of_bytes().to_str(),
        "chat_template.jinja": CHATML,
        "generation_config.json": json.dumps({"eos_token_id": [STOP]}),
    }
    return make_artifact(path, decoder, texts=texts, chat=chat, name="talking")


def answers(
    decoder: TinyDecoder, said: list[str], count: int, system: str | None = None
) -> list[tuple[list[int], list[int], str]]:
    """(prompt, tokens, text) of each answer, by transformers, tokenizers and NumPy."""
    tokenizer = tokenizer_of_bytes()
    messages = [] if system is None else [{"role": "system", "content": system}]
    found = []
    for text in said:
        messages.append({"role": "user", "content": text})
        prompt = tokenizer.encode(
            render_with_transformers(CHATML, messages, {}), add_special_tokens=False
        ).ids
        tokens = decoder.greedy(prompt, count)
        if STOP in tokens:
            tokens = tokens[: tokens.index(STOP)]
        answer = tokenizer.decode(tokens)
        messages.append({"role": "assistant", "content": answer})
        found.append((prompt, tokens, answer))
    return found
