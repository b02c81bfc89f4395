"""Streamed text against the decoded whole, on streams that no tokenizer was made for."""

from __future__ import annotations

import pytest
from token_streams import KINDS, make_tokenizer, random_streams

from toolkit.chat.stream import TextStream


def check(kind: str, count: int) -> None:
    for tokenizer, ids in random_streams(kind, count):
        stream = TextStream(tokenizer)
        pieces = [stream.feed(token_id) for token_id in ids]
        pieces.append(stream.finish())
        assert "".join(pieces) == tokenizer.decode(ids, skip_special_tokens=True), ids
        assert stream.finish() == ""


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_are_the_decoded_whole(kind: str) -> None:
    check(kind, 400)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_pieces_of_ten_thousand_streams_are_the_decoded_whole(kind: str) -> None:
    check(kind, 10_000)


@pytest.mark.parametrize("kind", KINDS[:3])
def test_text_comes_while_it_is_written(kind: str) -> None:
    """Nothing that is certain is held back: all but the last character is there before the end."""
    tokenizer = make_tokenizer(kind)
    ids = tokenizer.encode("the 日本 the 🙂 the the").ids
    stream = TextStream(tokenizer)
    pieces = [stream.feed(token_id) for token_id in ids]
    assert "".join(pieces) == tokenizer.decode(ids)
    assert sum(bool(piece) for piece in pieces) > 5


def test_bytes_of_an_unfinished_character_are_not_lost() -> None:
    tokenizer = make_tokenizer("sentencepiece BPE")
    ids = [tokenizer.token_to_id(token) for token in ("▁the", "<0xF0>", "<0x9F>")]
    stream = TextStream(tokenizer)
    assert [stream.feed(token_id) for token_id in ids] == ["the", "", ""]
    assert stream.finish() == "\ufffd\ufffd" == tokenizer.decode(ids)[3:]
