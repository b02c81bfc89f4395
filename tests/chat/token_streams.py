"""Small tokenizers of the four kinds that models have, and random streams of their ids."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

KINDS = ("byte-level BPE", "sentencepiece BPE", "unigram", "WordPiece")
SPECIAL = ["<unk>", "<s>", "</s>"]
WORDS = ("the", "Größe", "日本", "🙂", "naïve", "a", ".", ",", "'s", "n't", "don", "x1", "👨‍👩‍👧", "\n")
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def make_tokenizer(kind: str) -> Tokenizer:
    tokenizer = {
        "byte-level BPE": _byte_level,
        "sentencepiece BPE": _sentencepiece,
        "unigram": _unigram,
        "WordPiece": _word_piece,
    }[kind]()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    # Added tokens that are text, one beyond the vocabulary's end.
    tokenizer.add_tokens([AddedToken("<think>", special=False), AddedToken("é ", normalized=False)])
    return tokenizer


def random_streams(kind: str, count: int) -> Iterator[tuple[Tokenizer, list[int]]]:
    """Streams as no model writes them: half of them mostly bytes, some ids that no token has."""
    tokenizer = make_tokenizer(kind)
    size = tokenizer.get_vocab_size()
    tokens = {index: tokenizer.id_to_token(index) or "" for index in range(size)}
    byte_like = [i for i, token in tokens.items() if token in _BYTES or len(token) == 1]
    rng = random.Random(kind)
    for number in range(count):
        pool = byte_like if number % 2 else list(range(size))
        length = rng.randrange(1, 48)
        ids = [rng.choice(pool) if rng.random() < 0.85 else rng.randrange(size + 3) for _ in range(length)]
        if number % 5 == 0:  # real text, cut anywhere
            text = "".join(rng.choice(WORDS) + rng.choice(["", " "]) for _ in range(8))
            ids = tokenizer.encode(text).ids
            ids = ids[rng.randrange(len(ids)) :][: rng.randrange(1, 20)]
        yield tokenizer, ids


def _byte_level() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *alphabet])}
    merges = []
    for left, right in [("t", "h"), ("th", "e"), ("Ġ", "t"), ("Ã", "©"), ("Ġ", "ð"), ("æ", "Ĺ")]:
        vocabulary.setdefault(left + right, len(vocabulary))
        merges.append((left, right))
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _sentencepiece() -> Tokenizer:
    pieces = [
        *SPECIAL,
        *_BYTES,
        "▁",
        "▁▁",
        "▁the",
        "t",
        "h",
        "e",
        "th",
        "the",
        "Größe",
        "日",
        "本",
        "🙂",
        "▁a",
        "a",
    ]
    vocabulary = {token: index for index, token in enumerate(pieces)}
    merges = [("t", "h"), ("th", "e"), ("▁", "the"), ("▁", "▁"), ("▁", "a")]
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def _unigram() -> Tokenizer:
    pieces = [*SPECIAL, *_BYTES, "▁", "▁the", "the", "▁Größe", "日本", "🙂", "▁a", "a", "b", "e", "é", "."]
    vocabulary = [(token, -float(index) / 100) for index, token in enumerate(pieces)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    return tokenizer


def _word_piece() -> Tokenizer:
    pieces = [
        *SPECIAL,
        "the",
        "##re",
        "##s",
        "a",
        "##b",
        ".",
        ",",
        "!",
        "'",
        "s",
        "n't",
        "do",
        "##n",
        "不",
        "##e",
    ]
    tokenizer = Tokenizer(models.WordPiece({t: i for i, t in enumerate(pieces)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    return tokenizer
