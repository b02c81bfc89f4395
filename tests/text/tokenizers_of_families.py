"""Small tokenizers of the kinds that families have: parts as published, vocabularies learned here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

GPT_4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = GPT_4.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]"
    r"|\s+(?!\S)|\s+"
)
DEEPSEEK = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"

CORPUS = [
    "The quick brown fox jumps over the lazy dog. It's what we've said, isn't it? I'll go; you're 1st!",
    "def main(argument):\n    return [value ** 2 for value in range(10)]\n\n\tprint('done')  # 3.14",
    "Größe, naïveté, façade, Ωμέγα, Привет мир, שלום עולם, مرحبا بالعالم, हिन्दी में लिखा,"
    " 你好世界。こんにちは、世界！",
    "한국어 문장입니다. ภาษาไทย, Việt Nam, ελληνικά 😀👍🏽👨‍👩‍👧 ½ ² Ⅷ ﬁ ①",
    "aaa bbb   ccc    ddd  \r\n\r\n x_y-z/w http://example.org/?a=b&c=d%20 <html></html>",
] * 4
MARK = "▁"


def byte_level(
    pre: Any,
    *,
    normalizer: Any = None,
    ignore_merges: bool = False,
    added: list[AddedToken] | None = None,
    bos: bool = False,
) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=520, initial_alphabet=alphabet, special_tokens=specials, show_progress=False
        ),
    )
    tokenizer.add_tokens(added or [])
    if bos:
        front = processors.TemplateProcessing(single="<|im_start|> $A", special_tokens=[("<|im_start|>", 1)])
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), front])
    return tokenizer


def split(pattern: str, behavior: str = "isolated", *, invert: bool = False) -> Any:
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), behavior, invert=invert), plain])


def words(*, prefix: bool = False) -> Any:
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix)


def sentence_pieces(
    *, normalizer: Any = None, pre: Any = None, fuse: bool = True, added: list[AddedToken] | None = None
) -> Tokenizer:
    """Byte pairs over letters, with tokens for bytes, as converted from sentencepiece."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=fuse, byte_fallback=True))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre is not None:
        tokenizer.pre_tokenizer = pre
    specials = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer.train_from_iterator(
        CORPUS[:2], trainers.BpeTrainer(vocab_size=480, special_tokens=specials, show_progress=False)
    )
    tokenizer = plain_bytes(tokenizer)
    tokenizer.add_tokens(added or [])
    back = [decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse()]
    leads = normalizer is not None and "Prepend" in str(normalizer)
    tokenizer.decoder = decoders.Sequence([*back, *([decoders.Strip(" ", 1, 0)] if leads else [])])
    if pre is not None and "Metaspace" in str(pre):
        tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return tokenizer


def plain_bytes(tokenizer: Tokenizer) -> Tokenizer:
    """The same without the tokens for bytes among those that are looked for in a text."""
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [one for one in data["added_tokens"] if not one["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(data))


def unigram(*, byte_fallback: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(
        CORPUS[:3],
        trainers.UnigramTrainer(
            vocab_size=220, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
        ),
    )
    if byte_fallback:
        data = json.loads(tokenizer.to_str())
        data["model"]["vocab"] += [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
        data["model"]["byte_fallback"] = True
        tokenizer = Tokenizer.from_str(json.dumps(data))
        tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    else:
        tokenizer.decoder = decoders.Metaspace()
    return tokenizer


SPACED = [
    AddedToken("<|user|>", normalized=False, rstrip=True),
    AddedToken("<|left|>", normalized=False, lstrip=True),
    AddedToken("<tool>", normalized=True),
    AddedToken("word", single_word=True, normalized=True),
    AddedToken("<|user|><|user|>", normalized=False),
]

FAMILIES: dict[str, Callable[[], Tokenizer]] = {
    "gpt-2": lambda: byte_level(words()),
    "opt": lambda: byte_level(words(prefix=True)),
    "gpt-neox": lambda: byte_level(
        words(), normalizer=normalizers.NFC(), added=[AddedToken("  "), AddedToken("    ")]
    ),
    "smollm": lambda: byte_level(
        pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words()])
    ),
    "llama-3": lambda: byte_level(split(GPT_4), ignore_merges=True, bos=True),
    "qwen": lambda: byte_level(split(QWEN), normalizer=normalizers.NFC(), added=SPACED),
    "o200k": lambda: byte_level(split(O200K, "removed", invert=True)),
    "cl100k": lambda: byte_level(split(CL100K)),
    "deepseek": lambda: byte_level(
        pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(r"\p{N}{1,3}"), "isolated"),
                pre_tokenizers.Split(Regex("[一-龥぀-ゟ゠-ヿ]+"), "isolated"),
                split(DEEPSEEK),
            ]
        )
    ),
    "falcon": lambda: byte_level(
        pre_tokenizers.Sequence(
            [
                pre_tokenizers.Punctuation("contiguous"),
                words(),
                pre_tokenizers.Digits(individual_digits=False),
                pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated"),
            ]
        )
    ),
    "bloom": lambda: byte_level(split(BLOOM)),
    "exaone": lambda: byte_level(words(), normalizer=normalizers.NFKC()),
    "decomposed": lambda: byte_level(
        words(),
        normalizer=normalizers.Sequence(
            [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]
        ),
    ),
    "compatible": lambda: byte_level(
        words(), normalizer=normalizers.Sequence([normalizers.NFKD(), normalizers.Strip()])
    ),
    "llama-2": lambda: sentence_pieces(
        normalizer=normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    ),
    "phi-3": lambda: sentence_pieces(
        normalizer=normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)]),
        added=SPACED,
    ),
    "mistral": lambda: sentence_pieces(
        pre=pre_tokenizers.Metaspace(prepend_scheme="first", split=False), added=SPACED
    ),
    "metaspace": lambda: sentence_pieces(pre=pre_tokenizers.Metaspace(), fuse=False),
    "gemma": lambda: sentence_pieces(
        normalizer=normalizers.Replace(" ", MARK), pre=pre_tokenizers.Split(" ", "merged_with_previous")
    ),
    "unigram": lambda: unigram(byte_fallback=False),
    "unigram with bytes": lambda: unigram(byte_fallback=True),
}
