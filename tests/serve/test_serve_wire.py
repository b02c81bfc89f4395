"""Requests and answers as OpenAI's own types read them."""

from __future__ import annotations

import json

import pytest
from openai.types import Completion as OfficialCompletion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from toolkit.chat.answer import Generated
from toolkit.chat.request import GenerateRequest
from toolkit.serve.wire import BadRequest, ChatRequest, Completion, TextRequest, parse

GENERATED = Generated(
    prompt_ids=[1, 2, 3], token_ids=[4, 5], token_ns=[9, 9], text="ab", ending="length", kept=2
)
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def test_answers_are_what_the_official_types_take() -> None:
    chat, text = Completion("m", chat=True), Completion("m", chat=False)
    whole = ChatCompletion.model_validate(chat.whole(GENERATED), strict=True)
    assert whole.choices[0].message.content == "ab"
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage is not None and whole.usage.total_tokens == 5
    assert whole.usage.prompt_tokens_details is not None
    assert whole.usage.prompt_tokens_details.cached_tokens == 2
    chunks = [chat.opening(), chat.piece("a"), chat.closing(GENERATED), chat.usage(GENERATED)]
    read = [ChatCompletionChunk.model_validate(one, strict=True) for one in chunks]
    assert [one.choices[0].delta.content for one in read[:3]] == ["", "a", None]
    assert read[3].choices == [] and read[3].usage is not None
    assert len({one.id for one in read}) == 1
    completion = OfficialCompletion.model_validate(text.whole(GENERATED), strict=True)
    assert completion.choices[0].text == "ab"
    # Its type leaves out what its own server sends in chunks before the last one: no reason yet.
    last = OfficialCompletion.model_validate(text.closing(GENERATED), strict=True)
    assert text.piece("a")["choices"] == [{"index": 0, "finish_reason": None, "logprobs": None, "text": "a"}]
    assert last.choices[0].finish_reason == "length"


@pytest.mark.parametrize(
    ("change", "parameter"),
    [
        ({"messages": None}, "messages"),
        ({"model": None}, "model"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logprobs": True}, "logprobs"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"min_p": 0.1}, "min_p"),
        ({"repetition_penalty": 1.2}, "repetition_penalty"),
        ({"something_new": 1}, "something_new"),
        ({"top_k": -2}, "top_k"),
    ],
)
def test_what_cannot_be_served_names_the_field(change: dict[str, object], parameter: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(ChatRequest, json.dumps(CHAT | change).encode())
    assert caught.value.parameter == parameter


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(TextRequest, body)


def test_what_is_left_open_is_the_servers_choice() -> None:
    defaults = GenerateRequest(max_tokens=7, temperature=0.5, seed=3)
    nothing = {"user": "me", "n": 1, "tools": [], "tool_choice": "auto", "repetition_penalty": 1.0}
    asked = parse(ChatRequest, json.dumps(CHAT | nothing | {"reasoning_effort": None}).encode())
    assert asked.options(defaults) == defaults
    changed = CHAT | {"temperature": 0, "stop": "x", "max_completion_tokens": 2, "max_tokens": 3, "seed": -1}
    options = parse(ChatRequest, json.dumps(changed).encode()).options(defaults)
    assert (options.temperature, options.stop, options.max_tokens) == (0, ("x",), 2)
    assert options.seed >= 0


def test_texts_are_limited_and_chosen_from_as_chats_are() -> None:
    text = {"model": "m", "prompt": "a", "max_completion_tokens": 2, "top_k": 5}
    options = parse(TextRequest, json.dumps(text).encode()).options(GenerateRequest(max_tokens=7))
    assert (options.max_tokens, options.top_k) == (2, 5)
    every = parse(TextRequest, json.dumps(text | {"top_k": -1}).encode())
    assert every.options(GenerateRequest(top_k=3)).top_k == 0
