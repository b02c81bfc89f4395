"""The endpoints: `models`, `chat/completions` and `completions`, whole and streamed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from toolkit.artifact import Artifact
from toolkit.chat.answer import Generated
from toolkit.chat.generate import prompt_ids
from toolkit.chat.request import GenerateRequest
from toolkit.chat.tokens import load_tokenizer
from toolkit.errors import ContextFull, ToolkitError, UsageError
from toolkit.serve.answers import Answers, QueueFull
from toolkit.serve.wire import (
    BadRequest,
    ChatRequest,
    Completion,
    TextRequest,
    error_body,
    model_list,
    parse,
)

T = TypeVar("T")
# Of a request; the longest context of small models is far below.
MAXIMUM_BODY_BYTES = 4 << 20
# What nginx writes where the client went away; nobody reads it.
_CLIENT_GONE = 499


class _ClientGone(Exception):
    """The client has hung up."""


def application(
    artifact: Artifact, answers: Answers, defaults: GenerateRequest, *, hosts: list[str]
) -> Starlette:
    """The server's application.

    Args:
        artifact: the model.
        answers: gives them.
        defaults: how to generate where a request leaves it open.
        hosts: names under which it may be asked for; a page from elsewhere knows others. ``*`` for all.
    """
    tokenizer = load_tokenizer(artifact)
    started = int(time.time())

    async def models(request: Request) -> Response:
        return JSONResponse(model_list(artifact.name, started))

    async def chat(request: Request) -> Response:
        return await complete(request, ChatRequest)

    async def completions(request: Request) -> Response:
        return await complete(request, TextRequest)

    async def complete(request: Request, kind: type[ChatRequest] | type[TextRequest]) -> Response:
        _refuse_other_pages(request)
        asked = parse(kind, await _body(request))
        if asked.model != artifact.name:
            raise BadRequest(
                f"there is no model {asked.model!r} here, only {artifact.name!r}",
                parameter="model",
                code="model_not_found",
            )
        # Rendering and cutting a long text would hold up all others.
        prompt = await asyncio.to_thread(prompt_of, asked)
        stream = answers.stream(prompt, asked.options(defaults))
        completion = Completion(artifact.name, chat=kind is ChatRequest)
        if asked.stream:
            # What fails at once is an answer with a status.
            first = await _unless_gone(request, anext(stream))
            counted = asked.stream_options is not None and asked.stream_options.include_usage
            return _EventStream(_events(completion, first, stream, counted), stream)
        return JSONResponse(completion.whole(await _unless_gone(request, _last(stream))))

    def prompt_of(asked: ChatRequest | TextRequest) -> list[int]:
        if isinstance(asked, ChatRequest):
            return prompt_ids(artifact, asked.messages, tokenizer=tokenizer)
        prompt = asked.prompt
        if isinstance(prompt, list):
            if isinstance(prompt[0], int):
                ids = [int(one) for one in prompt]
                known = artifact.manifest.architecture.vocab_size
                if any(not 0 <= one < known for one in ids):
                    raise BadRequest(f"token ids are from 0 to {known - 1}", parameter="prompt")
                return ids
            if len(prompt) > 1:
                raise BadRequest("one prompt at a time", parameter="prompt")
            prompt = str(prompt[0])
        return prompt_ids(artifact, prompt, chat=False, tokenizer=tokenizer)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await answers.close()

    return Starlette(
        routes=[
            Route("/v1/models", models),
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/completions", completions, methods=["POST"]),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        exception_handlers={BadRequest: _refuse, ToolkitError: _fail, _ClientGone: _nobody},
        lifespan=lifespan,
    )


class _EventStream(StreamingResponse):
    """Server-sent events that end when the client hangs up, also while nothing is sent."""

    def __init__(self, events: AsyncGenerator[bytes], answer: AsyncGenerator[str | Generated]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._generators: tuple[AsyncGenerator[Any], ...] = (events, answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self.stream_response(send))
        watching = asyncio.ensure_future(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait({sending, watching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watching.cancel()
            if not sending.done():
                sending.cancel()
            await asyncio.wait({sending})
            # Whatever they were at: the next answer waits for this one's end.
            for generator in self._generators:
                await generator.aclose()


async def _events(
    completion: Completion, first: str | Generated, rest: AsyncIterator[str | Generated], counted: bool
) -> AsyncGenerator[bytes]:
    opening = completion.opening()
    if opening is not None:
        yield _event(opening)
    try:
        async for said in _with(first, rest):
            if isinstance(said, str):
                yield _event(completion.piece(said))
                # Pieces may come in bursts; that the client has hung up must be noticed between two of them.
                await asyncio.sleep(0)
            else:
                yield _event(completion.closing(said))
                if counted:
                    yield _event(completion.usage(said))
    except ToolkitError as error:
        # The status has gone out long ago; clients look for this.
        yield _event(error_body(str(error), "server_error", code=type(error).__name__))
    yield b"data: [DONE]\n\n"


async def _with(first: T, rest: AsyncIterator[T]) -> AsyncIterator[T]:
    yield first
    async for one in rest:
        yield one


async def _last(stream: AsyncGenerator[str | Generated]) -> Generated:
    async with aclosing(stream):
        async for said in stream:
            if isinstance(said, Generated):
                return said
    raise AssertionError("an answer ends with what was generated, or an error")


async def _unless_gone(request: Request, work: Awaitable[T]) -> T:
    """What the work gives; it is cancelled when the client hangs up before.

    Raises:
        _ClientGone: it did.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_hang_up(request))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise _ClientGone
        return working.result()
    finally:
        watching.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working})


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _refuse_other_pages(request: Request) -> None:
    """A browser asks before it sends JSON to another origin, and sends anything else unasked.

    Raises:
        BadRequest: no JSON, or from a page of another origin.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise BadRequest("the body is application/json", code="unsupported_media_type")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers["host"]:
        raise BadRequest(f"pages of {origin} may not ask here", code="foreign_origin")


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAXIMUM_BODY_BYTES:
            raise BadRequest(f"more than {MAXIMUM_BODY_BYTES} bytes", code="request_too_large")
    return bytes(body)


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, BadRequest)
    statuses = {
        "model_not_found": 404,
        "request_too_large": 413,
        "unsupported_media_type": 415,
        "foreign_origin": 403,
    }
    body = error_body(str(error), "invalid_request_error", parameter=error.parameter, code=error.code)
    return JSONResponse(body, statuses.get(error.code or "", 400))


async def _fail(request: Request, error: Exception) -> Response:
    assert isinstance(error, ToolkitError)
    if isinstance(error, QueueFull):
        body = error_body(str(error), "rate_limit_error", code="queue_full")
        return JSONResponse(body, 429, headers={"Retry-After": "1"})
    if isinstance(error, UsageError):
        code = "context_length_exceeded" if isinstance(error, ContextFull) else None
        return JSONResponse(error_body(str(error), "invalid_request_error", code=code), 400)
    return JSONResponse(error_body(str(error), "server_error", code=type(error).__name__), 503)


async def _nobody(request: Request, error: Exception) -> Response:
    return Response(status_code=_CLIENT_GONE)
