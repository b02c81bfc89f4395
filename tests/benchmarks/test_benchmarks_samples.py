from __future__ import annotations

import json
import math

import pytest
from benchmark_samples import sample

from benchmarks.errors import PeerFailed
from benchmarks.samples import ProfileSample, Score, check_counts, read_answer

_ANSWER = {
    "load_ns": 1,
    "peak_rss_bytes": 300,
    "interpreter_rss_bytes": 100,
    "threads": None,
    "generated": [5, 6],
    "repetitions": [{"warmup": False, "prefill_ns": 10, "decode_ns": [3, 4]}],
}


def test_an_answer_is_read(tmp_path):
    path = tmp_path / "answer.json"
    path.write_text(json.dumps(_ANSWER))
    answer = read_answer(path, ProfileSample)
    assert answer.engine_rss_bytes == 200
    assert answer.measured[0].decode_ns == [3, 4]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"load_ns": "soon"}, "load_ns"),
        ({"surprise": 1}, "surprise"),
        ({"repetitions": [{"warmup": False, "prefill_ns": 0, "decode_ns": [1]}]}, "prefill_ns"),
        ({"repetitions": [{"warmup": False, "prefill_ns": 5, "decode_ns": []}]}, "decode_ns"),
    ],
)
def test_a_malformed_answer_is_refused_with_the_field(tmp_path, change, said):
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({**_ANSWER, **change}))
    with pytest.raises(PeerFailed, match=said):
        read_answer(path, ProfileSample)


def test_a_cut_answer_and_a_missing_one_are_refused(tmp_path):
    path = tmp_path / "answer.json"
    with pytest.raises(PeerFailed, match="no answer"):
        read_answer(path, ProfileSample)
    path.write_text(json.dumps(_ANSWER)[:-20])
    with pytest.raises(PeerFailed, match="malformed"):
        read_answer(path, ProfileSample)


def test_perplexity_is_the_exponential_of_the_mean():
    assert Score(negative_log_likelihood=20.0, scored_tokens=10).perplexity == pytest.approx(math.e**2)


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({"warmup": 1, "repetitions": 3, "generate_tokens": 4}, "3 repetitions"),
        ({"warmup": 0, "repetitions": 3, "generate_tokens": 4}, "repetitions"),
        ({"warmup": 1, "repetitions": 2, "generate_tokens": 5}, "3 decode steps for 5 tokens"),
    ],
)
def test_other_work_than_asked_for_is_refused(expected, said):
    check_counts(sample(1, 1), warmup=1, repetitions=2, generate_tokens=4)
    with pytest.raises(PeerFailed, match=said):
        check_counts(sample(1, 1), **expected)
