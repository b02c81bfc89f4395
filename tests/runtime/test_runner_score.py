"""Mode score of the real runner, against NumPy that runs everything again for every token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runner_process import Runner
from tiny_decoder import VOCAB, TinyDecoder

CONTEXT = [3, 77, 210, 5, 9]


def score(runner: Runner, model: Path, requests: Path, lines: list[str], *more: str) -> list[dict[str, Any]]:
    requests.write_text("".join(f"{line}\n" for line in lines))
    done = runner("score", "--model", model, "--requests", requests, "--run-id", "s1", *more)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def expected(decoder: TinyDecoder, tokens: list[int], first: int) -> tuple[list[float], bool]:
    logs, greedy = [], True
    for index in range(first, len(tokens)):
        logits = decoder.logits(tokens[:index]).astype(np.float64)
        logs.append(float(logits[tokens[index]] - logits.max() - np.log(np.exp(logits - logits.max()).sum())))
        greedy = greedy and int(logits.argmax()) == tokens[index]
    return logs, greedy


def test_log_probabilities_equal_numpy_whatever_was_asked_before(
    runner: Runner, decoder: TinyDecoder, model: Path, tmp_path: Path
) -> None:
    greedy = decoder.greedy(CONTEXT, 3)
    texts = [
        ([*CONTEXT, *greedy], 5),
        ([*CONTEXT, greedy[0]], 5),
        ([*CONTEXT, 1, 2], 5),
        ([*CONTEXT, 1, 2], 6),
        ([3, 77, 4, 4, 4, 4], 4),
        ([3, 8], 1),
    ]
    lines = [f"score {10 + i} 0 {first} {' '.join(map(str, text))}" for i, (text, first) in enumerate(texts)]
    records = score(runner, model, tmp_path / "r", lines, "--prefill-chunk", "2")
    assert [record["record"] for record in records] == ["start", *["score"] * len(texts), "end"]
    assert records[0]["mode"] == "score"
    for (text, first), record in zip(texts, records[1:-1], strict=True):
        logs, likeliest = expected(decoder, text, first)
        assert record["log_probabilities"] == pytest.approx(logs, abs=2e-4)
        assert record["greedy"] == likeliest
    assert [record["greedy"] for record in records[1:3]] == [True, True]


def test_continuations_are_greedy_and_end_at_stop_tokens(
    runner: Runner, decoder: TinyDecoder, model: Path, tmp_path: Path
) -> None:
    wanted = decoder.greedy(CONTEXT, 12)
    stop = wanted[5]
    prompt = " ".join(map(str, CONTEXT))
    records = score(
        runner, model, tmp_path / "r", [f"continue 1 0 12 - {prompt}", f"continue 2 5 12 {VOCAB - 1},{stop}"]
    )
    assert records[1]["token_ids"] == wanted
    assert records[2]["token_ids"] == wanted[: wanted.index(stop)]


def test_what_cannot_be_asked_is_refused_before_anything_runs(
    runner: Runner, model: Path, tmp_path: Path
) -> None:
    requests = tmp_path / "r"
    for line, code in [("continue 1 0 1024 - 3 4", 6), (f"score 1 0 1 3 {VOCAB}", 2), ("score 1 0 9 3 4", 2)]:
        requests.write_text(line + "\n")
        done = runner("score", "--model", model, "--requests", requests)
        assert done.returncode == code, done.stderr
        assert done.stdout == ""
    assert runner("score", "--model", model, "--requests", tmp_path / "none").returncode == 2
