"""Tokens of GGUF vocabularies against llama.cpp's: 500 texts for each way of cutting them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tokenizers import Tokenizer

from toolkit.errors import SourceError
from toolkit.sources.gguf.pre_tokenizers import PRE_TOKENIZERS
from toolkit.sources.gguf.tokenizer import GgufTokenizer

KNOWN = json.loads((Path(__file__).parent / "llama_cpp_tokens.json").read_text())


def written(tmp_path: Path, name: str | None, **more: Any) -> Tokenizer:
    """The tokenizer.json of a file with the corpus' vocabulary."""
    metadata: dict[str, Any] = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": KNOWN["tokens"],
        "tokenizer.ggml.merges": KNOWN["merges"],
        "tokenizer.ggml.token_type": [3] * 5 + [1] * (len(KNOWN["tokens"]) - 5),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }
    metadata |= {"tokenizer.ggml.pre": name} if name is not None else {}
    metadata |= {f"tokenizer.ggml.{key}": value for key, value in more.items()}
    header: Any = SimpleNamespace(
        metadata={key: value for key, value in metadata.items() if value is not None},
        architecture="llama",
        path=tmp_path / "made.gguf",
    )
    GgufTokenizer(header).write(tmp_path)
    return Tokenizer.from_file(str(tmp_path / "tokenizer.json"))


@pytest.mark.parametrize("known", KNOWN["expected"], ids=lambda known: known["names"][0])
def test_tokens_are_llama_cpps(known: dict[str, Any], tmp_path: Path) -> None:
    how = {PRE_TOKENIZERS[name] for name in known["names"]}
    for name in (next(n for n in known["names"] if PRE_TOKENIZERS[n] == one) for one in how):
        tokenizer = written(tmp_path, name)
        for text, expected in zip(KNOWN["texts"], known["ids"].split(), strict=True):
            ids = json.dumps(tokenizer.encode(text).ids).encode()
            assert hashlib.sha256(ids).hexdigest()[:6] == expected, (name, text)


def test_every_name_has_its_expected_tokens() -> None:
    assert {name for known in KNOWN["expected"] for name in known["names"]} == set(PRE_TOKENIZERS)
    assert len(PRE_TOKENIZERS) > 70 and len(KNOWN["texts"]) == 500


def test_a_name_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="'some-new-pre'.*not known"):
        written(tmp_path, "some-new-pre")


def test_files_of_before_the_names_are_cut_by_llama_cpps_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = written(tmp_path, None).encode("in 1969 and 12345").ids
    assert "does not say how texts are cut" in capsys.readouterr().err
    assert ids == written(tmp_path, "default").encode("in 1969 and 12345").ids


@pytest.mark.parametrize(
    ("name", "flag", "begins"),
    [("llama-bpe", None, True), ("tekken", None, True), ("qwen2", None, False), ("llama-bpe", False, False),
     ("qwen2", True, True)],
)  # fmt: skip
def test_texts_begin_as_llama_cpp_begins_them(
    name: str, flag: bool | None, begins: bool, tmp_path: Path
) -> None:
    ids = written(tmp_path, name, add_bos_token=flag).encode("in 1969").ids
    assert (ids[0] == 1) is begins


def test_a_first_token_that_nobody_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not say which"):
        written(tmp_path, "llama-bpe", bos_token_id=None)


def test_tokens_of_the_user_are_found_whole(tmp_path: Path) -> None:
    size = len(KNOWN["tokens"])
    tokenizer = written(
        tmp_path,
        "qwen2",
        tokens=[*KNOWN["tokens"], "<think>", "<\uff5cUser\uff5c>"],
        token_type=[3] * 5 + [1] * (size - 5) + [4, 3],
    )
    assert tokenizer.encode("<think>a<\uff5cUser\uff5c>").ids[::2] == [size, size + 1]


SENTENCEPIECE = json.loads((Path(__file__).parent / "llama_cpp_sentencepiece.json").read_text())


def sentencepiece(tmp_path: Path, **more: Any) -> Tokenizer:
    metadata = {f"tokenizer.ggml.{key}": SENTENCEPIECE[key] for key in ("tokens", "scores", "token_type")}
    metadata |= {"tokenizer.ggml.model": "llama", "tokenizer.ggml.bos_token_id": 1}
    metadata |= {"tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.unknown_token_id": 0}
    path = tmp_path / "made.gguf"
    header: Any = SimpleNamespace(metadata=metadata | more, architecture="llama", path=path)
    GgufTokenizer(header).write(tmp_path)
    return Tokenizer.from_file(str(tmp_path / "tokenizer.json"))


@pytest.mark.parametrize("known", SENTENCEPIECE["expected"], ids=lambda known: " ".join(known["metadata"]))
def test_tokens_of_sentencepiece_vocabularies_are_llama_cpps(known: dict[str, Any], tmp_path: Path) -> None:
    tokenizer = sentencepiece(tmp_path, **known["metadata"])
    texts = [*KNOWN["texts"], *SENTENCEPIECE["more_texts"]]
    for text, expected in zip(texts, known["ids"].split(), strict=True):
        ids = tokenizer.encode(text).ids
        assert hashlib.sha256(json.dumps(ids).encode()).hexdigest()[:6] == expected, (text, ids)


@pytest.mark.parametrize("prefix", [True, False])
def test_sentencepiece_texts_come_back(prefix: bool, tmp_path: Path) -> None:
    tokenizer = sentencepiece(tmp_path, **{"tokenizer.ggml.add_space_prefix": prefix})
    for text in KNOWN["texts"]:
        # Two blanks are a token of the user's here; the blank that is put behind it stays.
        if not (prefix and "  " in text):
            assert tokenizer.decode(tokenizer.encode(text).ids) == text


@pytest.mark.parametrize("kind", ["t5", "bert", "rwkv", "plamo2"])
def test_vocabularies_of_other_kinds_are_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"of the kind '{kind}'"):
        sentencepiece(tmp_path, **{"tokenizer.ggml.model": kind})


@pytest.mark.parametrize(
    "damage",
    [{"scores": None}, {"scores": [0.0]}, {"scores": [float("nan")] * len(SENTENCEPIECE["tokens"])}],
    ids=["no scores", "too few", "no numbers"],
)
def test_pieces_without_scores_are_refused(damage: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not every piece has a score"):
        sentencepiece(tmp_path, **{f"tokenizer.ggml.{key}": value for key, value in damage.items()})


def test_merges_that_make_no_token_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="makes no token"):
        written(tmp_path, "qwen2", tokens=["a", "b"], merges=["a b"], token_type=[1, 1])
