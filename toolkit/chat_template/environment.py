"""The environment that chat templates are written for: transformers' own, and an equal one without it.

Templates come with models from anywhere, so both run in jinja2's sandbox and see plain JSON values only.
The rules are those of ``transformers.utils.chat_template_utils``; tests render many templates with both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NoReturn

# What a template sees of a message.
Message = Mapping[str, Any]
Render = Callable[[str, Sequence[Message], Mapping[str, str]], str]

# Names under which a message's reasoning is passed; templates read the first, some the second.
_REASONING = ("reasoning_content", "thinking", "reasoning")


def renderer() -> Render:
    """Transformers' rendering where it is installed, else the equal one."""
    try:
        import transformers.utils.chat_template_utils as original

        original.render_jinja_template  # noqa: B018 - old versions lack it
    except (ImportError, AttributeError):
        return render
    return render_with_transformers


def render_with_transformers(template: str, messages: Sequence[Message], tokens: Mapping[str, str]) -> str:
    """As ``apply_chat_template(messages, add_generation_prompt=True)`` of a tokenizer with these tokens.

    Raises:
        Exception: a template is a program and can raise anything.
    """
    from transformers.utils.chat_template_utils import render_jinja_template

    rendered, _ = render_jinja_template(
        [_present(messages)], chat_template=template, add_generation_prompt=True, **tokens
    )
    return str(rendered[0])


def render(
    template: str,
    messages: Sequence[Message],
    tokens: Mapping[str, str],
    *,
    write_date: Callable[[str], str] | None = None,
) -> str:
    """The same text without transformers.

    Args:
        template: the template.
        messages: a conversation.
        tokens: texts of special tokens.
        write_date: in place of today's date in a format of strftime.

    Raises:
        Exception: a template is a program and can raise anything.
    """
    return str(
        _environment()
        .from_string(template)
        .render(
            messages=[_with_reasoning(message) for message in _present(messages)],
            tools=None,
            documents=None,
            add_generation_prompt=True,
            **({} if write_date is None else {"strftime_now": write_date}),
            **tokens,
        )
    )


def _present(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages without the keys whose value is null, which many templates would write out."""
    return [{key: value for key, value in message.items() if value is not None} for message in messages]


def _with_reasoning(message: dict[str, Any]) -> dict[str, Any]:
    reasoning = next((message[key] for key in _REASONING if message.get(key) is not None), None)
    if reasoning is None:
        return message
    return {"thinking": reasoning, **message, "reasoning_content": reasoning}


@cache
def _environment() -> Any:
    from jinja2 import TemplateError, nodes
    from jinja2.exceptions import SecurityError
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from jinja2.utils import Namespace

    class Generation(Extension):
        """``{% generation %}`` marks what the assistant says, for training; here its body is just text."""

        tags = {"generation"}

        def parse(self, parser: Any) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("_text"), [], [], body).set_lineno(line)

        def _text(self, caller: Callable[[], str]) -> str:
            return caller()

    class TemplateDict:
        """``dict`` without its attributes."""

        def __call__(self, *args: Any, **fields: Any) -> dict[Any, Any]:
            return dict(*args, **fields)

        def fromkeys(self, *args: Any) -> dict[Any, Any]:
            return dict.fromkeys(*args)

    class TemplateNamespace(Namespace):
        """``namespace`` that takes no names with an underscore in front."""

        def __init__(*args: Any, **fields: Any) -> None:
            self, rest = args[0], args[1:]
            attributes = dict(*rest, **fields)
            for name in attributes:
                TemplateNamespace._check(name)
            Namespace.__init__(self, attributes)

        def __setitem__(self, name: str, value: Any) -> None:
            TemplateNamespace._check(name)
            Namespace.__setitem__(self, name, value)

        @staticmethod
        def _check(name: object) -> None:
            if isinstance(name, str) and name.startswith("_"):
                raise SecurityError(f"a namespace takes no name with an underscore in front: {name!r}")

    def raise_exception(message: str) -> NoReturn:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = _strftime_now
    environment.globals["dict"] = TemplateDict()
    environment.globals["namespace"] = TemplateNamespace
    return environment


def _to_json(
    x: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # jinja2's own filter escapes for HTML, which would change the prompt. Templates pass these by name.
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _strftime_now(format: str) -> str:
    return datetime.now().strftime(format)
