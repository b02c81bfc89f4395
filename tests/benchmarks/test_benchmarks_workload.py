from __future__ import annotations

import hashlib

import pytest

from benchmarks.weights import TEXT, TEXT_SHA256
from benchmarks.workload import synthetic_tokens


def test_the_text_is_the_one_that_figures_were_taken_on():
    assert hashlib.sha256(TEXT.read_bytes()).hexdigest() == TEXT_SHA256
    text = TEXT.read_text(encoding="utf-8")
    assert text.startswith("Have not the small Particles of Bodies certain Powers")
    assert text.endswith("before they corrupted themselves.\n")
    assert not any(mark in text for mark in ("_", "[", "Produced by", "\t", "\n\n\n"))


def test_its_description_names_the_same_hash():
    assert TEXT_SHA256 in (TEXT.parent / "README.md").read_text()


def test_synthetic_tokens_are_those_of_the_runner():
    # device_runner/session/tokens.cpp, state = 1, for a vocabulary of 49152.
    tokens = synthetic_tokens(1000, 49152)
    first = 6364136223846793005 + 1442695040888963407
    second = (first * 6364136223846793005 + 1442695040888963407) % 2**64
    assert tokens[:2] == [(first >> 33) % 49152, (second >> 33) % 49152]
    assert all(0 <= token < 49152 for token in tokens)
    assert len(set(tokens)) > 900


@pytest.mark.parametrize("count", [0, 1, 512])
def test_synthetic_tokens_are_as_many_as_asked_for(count):
    assert len(synthetic_tokens(count, 100)) == count
