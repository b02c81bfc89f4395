"""Texts that end an answer, in whatever tokens they come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from toolkit.chat.answer import AnswerText


def letters() -> Tokenizer:
    """A token for each byte."""
    alphabet = {piece: number for number, piece in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(alphabet, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


TOKENIZER = letters()


def answered(text: str, stops: tuple[str, ...]) -> tuple[list[str], AnswerText]:
    pieces: list[str] = []
    answer = AnswerText(TOKENIZER, stops, pieces.append)
    for token in TOKENIZER.encode(text).ids:
        answer.take(token, 1)
    answer.finish()
    return pieces, answer


@given(st.text("abé", max_size=20), st.lists(st.text("abé", min_size=1, max_size=3), max_size=3))
def test_the_text_ends_before_the_first_of_them(text: str, stops: list[str]) -> None:
    ends = [text.find(stop) for stop in stops if stop in text]
    pieces, answer = answered(text, tuple(stops))
    # Two of them may end at the same token; then the one that begins first counts.
    assert answer.stopped == bool(ends)
    shown = "".join(pieces)
    assert text.startswith(shown)
    assert not any(stop in shown for stop in stops)
    assert shown == (text[: min(ends)] if len(ends) == 1 else shown) and (ends or shown == text)


def test_what_may_begin_one_is_held_back_and_nothing_else() -> None:
    pieces: list[str] = []
    answer = AnswerText(TOKENIZER, ("\n\nUser:",), pieces.append)
    for token in TOKENIZER.encode("a\nb\n\nUs").ids:
        answer.take(token, 1)
    assert "".join(pieces) == "a\nb"
    answer.finish()
    assert "".join(pieces) == "a\nb\n\nUs"


def test_tokens_after_the_end_are_not_taken() -> None:
    _, answer = answered("xendyyy", ("end",))
    generated = answer.generated([1], "length")
    assert (generated.text, generated.ending) == ("x", "stop")
    assert len(generated.token_ids) == 4
