"""What OpenAI's clients send and expect: https://platform.openai.com/docs/api-reference."""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from toolkit.chat.answer import Generated
from toolkit.chat.request import GenerateRequest

# Fields that would change the answer, and the values that ask for nothing; None does in all others.
_NOTHING: dict[str, tuple[Any, ...]] = {
    "n": (None, 1),
    "best_of": (None, 1),
    "echo": (None, False),
    "suffix": (None, ""),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "logit_bias": (None, {}),
    "presence_penalty": (None, 0),
    "frequency_penalty": (None, 0),
    "tools": (None, []),
    "functions": (None, []),
    "response_format": (None, {"type": "text"}),
    "modalities": (None, ["text"]),
    "min_p": (None, 0),
    "repetition_penalty": (None, 1),
    "tool_choice": (None, "none", "auto"),
    "function_call": (None, "none", "auto"),
}
# Of clients' own bookkeeping; whatever else is not known might change the answer.
_HARMLESS = (
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
)
_LARGEST_SEED = 2**63 - 1


class BadRequest(Exception):
    """A request that cannot be meant, or not be served."""

    def __init__(self, message: str, *, parameter: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.code = code


class _StreamOptions(BaseModel):
    include_usage: bool = False


class _Asked(BaseModel):
    """What both kinds of requests have in common; :func:`parse` looks at other fields."""

    model_config = ConfigDict(extra="allow")

    model: str
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=_LARGEST_SEED)] | None = None
    stop: str | list[str] | None = None
    stream: bool | None = False
    stream_options: _StreamOptions | None = None

    def options(self, defaults: GenerateRequest) -> GenerateRequest:
        """How to generate; what the request leaves open is the server's choice."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop
        seed = defaults.seed if self.seed is None else self.seed % _LARGEST_SEED
        if self.seed is None and not defaults.seed:
            seed = secrets.randbelow(2**31)
        given = {
            # As the newer name says, or the older one.
            "max_tokens": self.max_completion_tokens or self.max_tokens,
            "temperature": self.temperature,
            "top_p": None if self.top_p is None else max(self.top_p, 0.01),
            # Some servers' clients write -1 for all tokens.
            "top_k": None if self.top_k is None else max(self.top_k, 0),
            "stop": None if stops is None else tuple(one for one in stops if one),
            "seed": seed,
        }
        return defaults.model_copy(update={name: value for name, value in given.items() if value is not None})


class ChatRequest(_Asked):
    """Of `chat/completions`."""

    messages: list[dict[str, Any]]


class TextRequest(_Asked):
    """Of `completions`."""

    prompt: str | list[int] | list[str] = Field(min_length=1)


def parse(kind: type[ChatRequest] | type[TextRequest], body: bytes) -> ChatRequest | TextRequest:
    """A request from what a client sent.

    Raises:
        BadRequest: says which field is wrong, or asks for what there is not.
    """
    try:
        asked = kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadRequest(f"{where + ': ' if where else ''}{first['msg']}", parameter=where or None) from None
    for name, value in (asked.model_extra or {}).items():
        if name not in _HARMLESS and value not in _NOTHING.get(name, (None,)):
            raise BadRequest(f"{name} is not supported here", parameter=name, code="unsupported_parameter")
    return asked


def error_body(
    message: str, kind: str, *, parameter: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """An error as clients read it."""
    return {"error": {"message": message, "type": kind, "param": parameter, "code": code}}


def model_list(name: str, created: int) -> dict[str, Any]:
    """The one model that there is."""
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "created": created, "owned_by": "slm-toolkit"}],
    }


class Completion:
    """The answer to one request, whole or in chunks.

    Args:
        model: as the client called it.
        chat: of `chat/completions`.
    """

    def __init__(self, model: str, *, chat: bool) -> None:
        self._chat = chat
        self._head = {
            "id": f"{'chatcmpl' if chat else 'cmpl'}-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
        }

    def whole(self, generated: Generated) -> dict[str, Any]:
        """All of it."""
        text = generated.text
        said = {"message": {"role": "assistant", "content": text}} if self._chat else {"text": text}
        kind = "chat.completion" if self._chat else "text_completion"
        return self._object(kind, [said], _reason(generated)) | {"usage": _usage(generated)}

    def opening(self) -> dict[str, Any] | None:
        """The chunk in front, where clients expect one."""
        return self._chunk({"role": "assistant", "content": ""}) if self._chat else None

    def piece(self, text: str) -> dict[str, Any]:
        """A chunk with text."""
        return self._chunk({"content": text}) if self._chat else self._chunk({"text": text})

    def closing(self, generated: Generated) -> dict[str, Any]:
        """The chunk that says what ended it."""
        return self._chunk({} if self._chat else {"text": ""}, _reason(generated))

    def usage(self, generated: Generated) -> dict[str, Any]:
        """The chunk with the counts, for those who ask for it."""
        return self._object(self._chunk_kind, [], None) | {"usage": _usage(generated)}

    @property
    def _chunk_kind(self) -> str:
        return "chat.completion.chunk" if self._chat else "text_completion"

    def _chunk(self, said: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return self._object(self._chunk_kind, [{"delta": said} if self._chat else said], reason)

    def _object(self, kind: str, said: list[dict[str, Any]], reason: str | None) -> dict[str, Any]:
        choices = [{"index": 0, "finish_reason": reason, "logprobs": None} | one for one in said]
        return self._head | {"object": kind, "choices": choices}


def _reason(generated: Generated) -> str:
    return "length" if generated.ending == "length" else "stop"


def _usage(generated: Generated) -> dict[str, Any]:
    prompt, answer = len(generated.prompt_ids), len(generated.token_ids)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        "prompt_tokens_details": {"cached_tokens": generated.kept},
    }
