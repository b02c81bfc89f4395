"""What the runner's mode ``score`` reads and writes (docs/runner.md, Scoring)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from toolkit.evaluate.scoring import (
    Answer,
    ContinueAnswer,
    Request,
    ScoreAnswer,
    ScoreRequest,
    shared_length,
)


def request_lines(requests: Sequence[Request], order: Iterable[int]) -> Iterator[str]:
    """One line per request, each holding the tokens that the line before does not.

    Args:
        requests: all of them.
        order: indices of those to write; they are the requests' ids.
    """
    before: tuple[int, ...] = ()
    for index in order:
        request = requests[index]
        keep = shared_length(request.tokens, before)
        if isinstance(request, ScoreRequest):
            head = f"score {index} {keep} {request.first}"
        else:
            several = ("+".join(map(str, one)) for one in request.sequences)
            stops = ",".join([*map(str, request.stops), *several]) or "-"
            head = f"continue {index} {keep} {request.maximum} {stops}"
        yield " ".join([head, *map(str, request.tokens[keep:])])
        before = request.tokens


def answer_of(line: str, waiting: Mapping[int, Request]) -> tuple[int, Answer] | None:
    """A request's index and answer from a line of output; None for any other line.

    Args:
        line: as the runner wrote it, or the part of it that arrived.
        waiting: requests by index.
    """
    try:
        record = json.loads(line)
        kind, index = record["record"], record["id"]
        request = waiting[index]
        if kind == "score" and isinstance(request, ScoreRequest):
            logs = tuple(float(one) for one in record["log_probabilities"])
            if len(logs) == len(request.tokens) - request.first:
                return index, ScoreAnswer(logs, record["greedy"] is True)
        if kind == "continuation" and not isinstance(request, ScoreRequest):
            return index, ContinueAnswer(tuple(int(one) for one in record["token_ids"]))
    except (ValueError, KeyError, TypeError):
        pass
    return None
