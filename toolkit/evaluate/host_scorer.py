"""Answers from a decoder on this host."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from toolkit.errors import BadLogits
from toolkit.evaluate.scoring import (
    Answer,
    ContinueAnswer,
    ContinueRequest,
    OnAnswer,
    Request,
    ScoreAnswer,
    ScoreRequest,
    shared_length,
    shared_order,
)
from toolkit.inference.decoder import Decoder


class HostScorer:
    """A decoder that answers; texts that begin alike are fed once.

    Args:
        decoder: the model.
        subject: its name, for errors.
    """

    def __init__(self, decoder: Decoder, subject: str) -> None:
        self._decoder = decoder
        self._subject = subject
        decoder.reset()
        self._fed: tuple[int, ...] = ()
        self._context: tuple[int, ...] = ()
        self._row = torch.empty(0)

    def answer(self, requests: Sequence[Request], on_answer: OnAnswer) -> None:
        """Answer all requests; see :class:`toolkit.evaluate.scoring.Scorer`."""
        for index in shared_order(requests):
            request = requests[index]
            answer: Answer
            if isinstance(request, ScoreRequest):
                answer = self._score(request)
            else:
                answer = self._continue(request)
            on_answer(index, answer)

    def _score(self, request: ScoreRequest) -> ScoreAnswer:
        context, continuation = request.tokens[: request.first], request.tokens[request.first :]
        rows = [self._after(context)]
        rest = continuation[:-1]
        if rest and self._decoder.every_position:
            rows.append(self._step(rest))
        else:
            rows += [self._step((token,)) for token in rest]
        logits = torch.cat(rows)
        targets = torch.tensor(continuation)[:, None]
        logs = logits.double().log_softmax(-1).gather(1, targets)[:, 0]
        found = tuple(logs.tolist())
        if any(math.isnan(one) for one in found):
            raise BadLogits.of(self._subject)
        return ScoreAnswer(found, bool((logits.argmax(-1, keepdim=True) == targets).all()))

    def _continue(self, request: ContinueRequest) -> ContinueAnswer:
        row = self._after(request.tokens)
        found: list[int] = []
        while True:
            if bool(torch.isnan(row).any()):
                raise BadLogits.of(self._subject)
            token = int(row[-1].argmax())
            if token in request.stops:
                break
            found.append(token)
            if request.cut(found) or len(found) == request.maximum:
                break
            row = self._step((token,))
        return ContinueAnswer(tuple(found))

    def _after(self, context: tuple[int, ...]) -> torch.Tensor:
        """Logits after exactly this context, [1, vocab]."""
        if context == self._context and self._decoder.rewind(len(context)) == len(context):
            self._fed = context
            return self._row
        kept = self._decoder.rewind(min(shared_length(context, self._fed), len(context) - 1))
        self._fed = context[:kept]
        self._row = self._step(context[kept:])[-1:].clone()
        self._context = context
        return self._row

    def _step(self, tokens: tuple[int, ...]) -> torch.Tensor:
        self._fed += tokens
        return self._decoder.step(tokens).clone()
