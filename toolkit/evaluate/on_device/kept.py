"""Answers of a model on disk: what was asked once is not asked again, also after a kill."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from toolkit.evaluate.scoring import Answer, ContinueAnswer, Request, ScoreAnswer, ScoreRequest


class KeptAnswers:
    """Answers by question, in a file that grows by a line per answer.

    A process that is killed leaves whole lines and at most one cut one, which is left out.

    Args:
        file: made when the first answer comes.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._answers: dict[str, Answer] = {}
        text = file.read_bytes().decode(errors="replace") if file.is_file() else ""
        self._cut = bool(text) and not text.endswith("\n")
        for line in text.splitlines():
            read = _read(line)
            if read is not None:
                self._answers[read[0]] = read[1]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._answers)

    def get(self, request: Request) -> Answer | None:
        """The answer to a question, if it was asked before."""
        return self._answers.get(key(request))

    def add(self, request: Request, answer: Answer) -> None:
        """Keep an answer; it is on disk, as far as the system goes, when this returns."""
        name = key(request)
        data: dict[str, Any] = {"key": name}
        if isinstance(answer, ScoreAnswer):
            data |= {"log_probabilities": answer.log_probabilities, "greedy": answer.greedy}
        else:
            data |= {"token_ids": answer.token_ids}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(("\n" if self._cut else "") + json.dumps(data) + "\n")
        self._cut = False
        self._answers[name] = answer


def key(request: Request) -> str:
    """A question's name: the same for the same question, whatever task asks it."""
    if isinstance(request, ScoreRequest):
        said: list[Any] = ["score", request.first]
    else:
        said = ["continue", request.maximum, list(request.stops)]
        # Answers of before there were sequences keep their names.
        said += [list(map(list, request.sequences))] if request.sequences else []
    return hashlib.sha256(json.dumps([*said, list(request.tokens)]).encode()).hexdigest()[:32]


def _read(line: str) -> tuple[str, Answer] | None:
    try:
        data = json.loads(line)
        if "token_ids" in data:
            return data["key"], ContinueAnswer(tuple(int(one) for one in data["token_ids"]))
        logs = tuple(float(one) for one in data["log_probabilities"])
        return data["key"], ScoreAnswer(logs, data["greedy"] is True)
    except (ValueError, KeyError, TypeError):
        return None
