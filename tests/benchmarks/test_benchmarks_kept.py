from __future__ import annotations

import pytest

from benchmarks.kept import KeptAnswers, digest_of_files, digest_of_windows
from benchmarks.samples import Score

_QUESTION = {"asked": "perplexity", "model": "a"}


class Oracle:
    """Answers with the number of times it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> Score:
        self.asked += 1
        return Score(negative_log_likelihood=float(self.asked), scored_tokens=1)


def test_an_answer_outlives_the_run_that_asked(tmp_path):
    oracle = Oracle()
    first = KeptAnswers(tmp_path / "kept").answer(_QUESTION, Score, oracle)
    again = KeptAnswers(tmp_path / "kept").answer(dict(reversed(_QUESTION.items())), Score, oracle)
    assert first == again
    assert oracle.asked == 1


def test_another_question_has_another_answer(tmp_path):
    kept, oracle = KeptAnswers(tmp_path), Oracle()
    kept.answer(_QUESTION, Score, oracle)
    assert kept.answer({**_QUESTION, "model": "b"}, Score, oracle).negative_log_likelihood == 2.0


def test_fresh_asks_again_but_once_per_run(tmp_path):
    oracle = Oracle()
    KeptAnswers(tmp_path).answer(_QUESTION, Score, oracle)
    fresh = KeptAnswers(tmp_path, fresh=True)
    answers = [fresh.answer(_QUESTION, Score, oracle).negative_log_likelihood for _ in range(3)]
    assert answers == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"answer": {"scored_tokens": 0}}', '{"question": {}}'])
def test_a_damaged_answer_is_asked_for_again(tmp_path, damaged):
    kept, oracle = KeptAnswers(tmp_path), Oracle()
    kept.answer(_QUESTION, Score, oracle)
    (file,) = tmp_path.glob("*.json")
    file.write_text(damaged)
    assert kept.answer(_QUESTION, Score, oracle).negative_log_likelihood == 2.0


def test_a_failed_answer_is_not_kept(tmp_path):
    kept, oracle = KeptAnswers(tmp_path), Oracle()
    with pytest.raises(ZeroDivisionError):
        kept.answer(_QUESTION, Score, lambda: 1 // 0)
    assert kept.answer(_QUESTION, Score, oracle).negative_log_likelihood == 1.0


def test_what_is_gone_is_forgotten(tmp_path):
    kept, oracle = KeptAnswers(tmp_path), Oracle()
    kept.forget(_QUESTION)
    kept.answer(_QUESTION, Score, oracle)
    kept.forget(_QUESTION)
    assert kept.answer(_QUESTION, Score, oracle).negative_log_likelihood == 2.0


def test_a_folder_is_known_by_its_content_but_not_by_when_it_was_made(tmp_path):
    (tmp_path / "model.onnx").write_text("one")
    (tmp_path / "manifest.json").write_text("made today")
    before = digest_of_files(tmp_path)
    (tmp_path / "manifest.json").write_text("made tomorrow")
    assert digest_of_files(tmp_path) == before
    (tmp_path / "model.onnx").write_text("two")
    assert digest_of_files(tmp_path) != before
    assert digest_of_files(tmp_path / "model.onnx") != digest_of_files(tmp_path / "manifest.json")


def test_windows_are_known_by_where_they_are_cut():
    assert digest_of_windows([[1, 2], [3]]) != digest_of_windows([[1], [2, 3]])
