"""Folders with a tokenizer as repositories keep them, each with another peculiarity; no weights."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

SPECIAL = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<pad>"]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Enough for the added tokens of every folder.
VOCABULARY_SIZE = 400
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def byte_bpe() -> Tokenizer:
    vocabulary = {t: i for i, t in enumerate([*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    merges = []
    for word in ("the", "Ġthe", "Ġcapital", "Ġof", "19", "69"):
        left = word[0]
        for character in word[1:]:
            if left + character not in vocabulary:
                vocabulary[left + character] = len(vocabulary)
                merges.append((left, character))
            left += character
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    return tokenizer


def sentencepiece_json() -> Tokenizer:
    pieces = [
        *SPECIAL[:3],
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        "▁the",
        "t",
        "h",
        "e",
        "th",
        "the",
    ]
    tokenizer = Tokenizer(
        models.BPE(
            {t: i for i, t in enumerate(pieces)},
            [("t", "h"), ("th", "e"), ("▁", "the")],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL[:3]])
    return tokenizer


def unigram_json() -> Tokenizer:
    pieces = ["<unk>", "<s>", "</s>", "▁", "▁the", "▁capital", *"abcdefghijklmnopqrstuvwxyzTF0123456789|<>_."]
    tokenizer = Tokenizer(models.Unigram([(t, -float(i) / 10) for i, t in enumerate(pieces)], unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL[:3]])
    return tokenizer


def word_piece_json() -> Tokenizer:
    pieces = [*SPECIAL, "the", "capital", "of", "##s", "is", *"abcdefghijklmnopqrstuvwxyz"]
    pieces += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz" if letter != "s"]
    tokenizer = Tokenizer(models.WordPiece({t: i for i, t in enumerate(pieces)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


@cache
def sentencepiece_model(kind: str) -> bytes:
    """A sentencepiece model, trained on a few sentences."""
    import sentencepiece

    sentences = ["the capital of France is Paris", "in 1969 two people walked", "hello world of words"] * 20
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=written,
        vocab_size=320 if kind == "bpe" else 300,
        model_type=kind,
        byte_fallback=True,
        hard_vocab_limit=False,
        minloglevel=3,
    )
    return written.getvalue()


def config(folder: Path, **fields: Any) -> None:
    base = {"model_type": "llama", "vocab_size": VOCABULARY_SIZE, "bos_token_id": 1, "eos_token_id": 2}
    (folder / "config.json").write_text(json.dumps(base | fields))


def put(folder: Path, name: str, content: Any) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)


def plain(folder: Path, tokenizer: Tokenizer | None = None, **fields: Any) -> None:
    """tokenizer.json and tokenizer_config.json."""
    config(folder)
    (tokenizer or byte_bpe()).save(str(folder / "tokenizer.json"))
    put(folder, "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"} | TOKENS | fields)


def files_of_slow(folder: Path, **fields: Any) -> None:
    """vocab.json and merges.txt in place of tokenizer.json."""
    model = json.loads(byte_bpe().to_str())["model"]
    config(folder)
    put(folder, "vocab.json", model["vocab"])
    lines = [" ".join(merge) for merge in model["merges"]]
    put(folder, "merges.txt", "#version: 0.2\n" + "\n".join(lines) + "\n")
    put(folder, "tokenizer_config.json", TOKENS | fields)


def sentencepiece_files(folder: Path, kind: str = "bpe", model_type: str = "llama", **fields: Any) -> None:
    """tokenizer.model alone."""
    config(folder, model_type=model_type)
    (folder / "tokenizer.model").write_bytes(sentencepiece_model(kind))
    if fields:
        put(folder, "tokenizer_config.json", fields)


def also(make: Callable[[Path], None], **files: Any) -> Callable[[Path], None]:
    """A folder with more files; in names, __ stands for a dot and ___ for a slash."""

    def write(folder: Path) -> None:
        make(folder)
        for name, content in files.items():
            put(folder, name.replace("___", "/").replace("__", "."), content)

    return write


def without(make: Callable[[Path], None], name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        make(folder)
        (folder / name).unlink()

    return write


def cut_texts(folder: Path) -> None:
    tokenizer = byte_bpe()
    tokenizer.enable_truncation(max_length=8)
    plain(folder, tokenizer)


def filled_texts(folder: Path) -> None:
    tokenizer = byte_bpe()
    tokenizer.enable_padding(pad_id=5, pad_token="<pad>", length=16, direction="left")
    plain(folder, tokenizer)


def cut_and_filled(folder: Path) -> None:
    tokenizer = sentencepiece_json()
    tokenizer.enable_truncation(max_length=4, direction="left")
    tokenizer.enable_padding(pad_id=0, pad_token="<unk>")
    plain(folder, tokenizer)


def added(content: str, **flags: bool) -> dict[str, Any]:
    base = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    return {"content": content} | base | flags


def with_decoder(make: Callable[..., None], tokens: dict[str, Any], **fields: Any) -> Callable[[Path], None]:
    return lambda folder: make(folder, added_tokens_decoder=tokens, **fields)


FOLDERS: dict[str, Callable[[Path], None]] = {
    "plain": plain,
    "truncation": cut_texts,
    "padding": filled_texts,
    "truncation and padding": cut_and_filled,
    "added_tokens_decoder with a new token": with_decoder(plain, {"282": added("<|added|>")}),
    "added_tokens_decoder with another flag": with_decoder(plain, {"3": added("<|im_start|>", rstrip=True)}),
    "added_tokens_decoder that names no special tokens": with_decoder(
        plain, {"282": added("<|added|>", special=False, normalized=True)}
    ),
    "added_tokens.json": also(plain, added_tokens__json={"<|added|>": 282}),
    "added_tokens.json and special_tokens_map.json": also(
        plain, added_tokens__json={"<|added|>": 282}, special_tokens_map__json={"eos_token": "<|added|>"}
    ),
    "special_tokens_map.json": also(plain, special_tokens_map__json={"eos_token": "<|im_end|>"}),
    "special_tokens_map.json with objects": also(
        plain, special_tokens_map__json={"eos_token": added("<|im_end|>"), "pad_token": added("<pad>")}
    ),
    "add_bos_token": lambda folder: plain(folder, add_bos_token=True),
    "add_bos_token of a Llama class": lambda folder: plain(
        folder, add_bos_token=True, tokenizer_class="LlamaTokenizerFast"
    ),
    "add_eos_token": lambda folder: plain(folder, add_bos_token=True, add_eos_token=True),
    "GPT2Tokenizer": lambda folder: plain(folder, tokenizer_class="GPT2Tokenizer"),
    "GPT2Tokenizer from vocab and merges": lambda folder: files_of_slow(
        folder, tokenizer_class="GPT2Tokenizer"
    ),
    "Qwen2Tokenizer from vocab and merges": lambda folder: files_of_slow(
        folder, tokenizer_class="Qwen2Tokenizer"
    ),
    "vocab and merges, and added tokens": with_decoder(
        files_of_slow, {"282": added("<|added|>")}, tokenizer_class="GPT2Tokenizer"
    ),
    "vocab and merges alone": without(files_of_slow, "tokenizer_config.json"),
    "no tokenizer_config.json": without(plain, "tokenizer_config.json"),
    "tokenizer_config.json alone": without(plain, "tokenizer.json"),
    "unknown class": lambda folder: plain(folder, tokenizer_class="NoSuchTokenizer"),
    "no class": lambda folder: plain(folder, tokenizer_class=None),
    "additional_special_tokens": lambda folder: plain(
        folder, additional_special_tokens=["<|im_start|>", "<|added|>"]
    ),
    "extra_special_tokens": lambda folder: plain(folder, extra_special_tokens=["<|added|>"]),
    "extra_special_tokens by name": lambda folder: plain(
        folder, extra_special_tokens={"image_token": "<|im_start|>"}
    ),
    "a token of another name": lambda folder: plain(folder, image_token="<|im_start|>"),
    "tokens as objects": lambda folder: plain(
        folder, **{name: {"__type": "AddedToken"} | added(token) for name, token in TOKENS.items()}
    ),
    "no special tokens": lambda folder: plain(folder, **dict.fromkeys(TOKENS)),
    "template in the config": lambda folder: plain(folder, chat_template=CHATML),
    "templates with a default": lambda folder: plain(
        folder,
        chat_template=[{"name": "tool_use", "template": "T"}, {"name": "default", "template": CHATML}],
    ),
    "templates without a default": lambda folder: plain(
        folder, chat_template=[{"name": "tool_use", "template": "T"}, {"name": "rag", "template": "R"}]
    ),
    "template file over config": also(
        lambda folder: plain(folder, chat_template="old"), chat_template__jinja=CHATML + "\r\nx\n"
    ),
    "additional templates": also(
        plain, chat_template__jinja=CHATML, additional_chat_templates___tool_use__jinja="T"
    ),
    "template with all tokens": lambda folder: plain(
        folder, chat_template="{{ bos_token }}{{ eos_token }}{{ unk_token }}{{ pad_token }}{{ cls_token }}"
    ),
    "split_special_tokens": lambda folder: plain(folder, split_special_tokens=True),
    "add_prefix_space": lambda folder: plain(folder, add_prefix_space=True),
    "sentencepiece as tokenizer.json": lambda folder: plain(folder, sentencepiece_json()),
    "sentencepiece as tokenizer.json, LlamaTokenizer": lambda folder: plain(
        folder, sentencepiece_json(), tokenizer_class="LlamaTokenizer", pad_token=None
    ),
    "unigram": lambda folder: plain(folder, unigram_json(), pad_token=None),
    "WordPiece": lambda folder: plain(folder, word_piece_json()),
    "tokenizer.model alone": sentencepiece_files,
    "tokenizer.model and LlamaTokenizer": lambda folder: sentencepiece_files(
        folder, tokenizer_class="LlamaTokenizer", **TOKENS
    ),
    "tokenizer.model and added tokens": lambda folder: sentencepiece_files(
        folder, tokenizer_class="LlamaTokenizer", added_tokens_decoder={"320": added("<|added|>")}
    ),
    "tokenizer.model of a Gemma": lambda folder: sentencepiece_files(
        folder, model_type="gemma", tokenizer_class="GemmaTokenizer"
    ),
    "tokenizer.model of unigrams": lambda folder: sentencepiece_files(folder, "unigram"),
    "a model of another family": lambda folder: (plain(folder), config(folder, model_type="qwen2"))[0],
    "tokenizer files by version": also(
        lambda folder: plain(folder, fast_tokenizer_files=["tokenizer.json", "tokenizer.99.0.0.json"]),
    ),
    "nothing": config,
}  # fmt: skip
