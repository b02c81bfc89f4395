"""Chat templates, rendered with jinja2 as transformers renders them, without transformers."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from toolkit.artifact import Artifact
from toolkit.errors import NotAnArtifact, UsageError

_TOKENIZER_CONFIG = "tokenizer_config.json"
_ONLY_TEMPLATE = "chat_template.jinja"


def render_chat(artifact: Artifact, prompt: str, *, system: str | None = None) -> str:
    """The text of a conversation of one user message, opened for the assistant's answer.

    Args:
        artifact: holds the template.
        prompt: the user's message.
        system: system message, or None for the template's own default.

    Raises:
        UsageError: the artifact has no chat template, or the template refuses these messages.
    """
    # Templates come with models from anywhere: the sandbox keeps them from reaching Python's insides.
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    config = _read_json(artifact.path / _TOKENIZER_CONFIG)
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda pattern: datetime.now().strftime(pattern)
    messages = [{"role": "user", "content": prompt}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    try:
        return environment.from_string(_template(artifact, config)).render(
            messages=messages,
            add_generation_prompt=True,
            bos_token=_token_text(config.get("bos_token")),
            eos_token=_token_text(config.get("eos_token")),
        )
    except TemplateError as error:
        raise UsageError(
            f"its chat template cannot render this conversation: {error}",
            subject=artifact.name,
            next_step="Leave out --system, or pass --no-chat to send the prompt as it is.",
        ) from None


def has_chat_template(artifact: Artifact) -> bool:
    """Whether the artifact brings a chat template."""
    return _find_template(artifact, _read_json(artifact.path / _TOKENIZER_CONFIG)) is not None


def _template(artifact: Artifact, config: dict[str, Any]) -> str:
    template = _find_template(artifact, config)
    if template is None:
        raise UsageError(
            "has no chat template", subject=artifact.name, next_step="Pass --no-chat: it is a base model."
        )
    return template


def _find_template(artifact: Artifact, config: dict[str, Any]) -> str | None:
    for name in (artifact.manifest.chat_template_file, _ONLY_TEMPLATE):
        if name and name.endswith(".jinja") and (artifact.path / name).is_file():
            return (artifact.path / name).read_text()
    template = config.get("chat_template")
    if isinstance(template, list):
        # Several named templates; the plain conversation is called "default".
        named = {entry["name"]: entry["template"] for entry in template}
        template = named.get("default")
    return template if isinstance(template, str) else None


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        data = json.loads(path.read_text())
    except ValueError as error:
        raise NotAnArtifact(
            f"{path.name} is not JSON: {error}",
            subject=str(path.parent),
            next_step="Convert the model again.",
        ) from None
    return data if isinstance(data, dict) else {}


def _token_text(token: object) -> str:
    """A special token, which older tokenizers write as an object with flags."""
    if isinstance(token, dict):
        return str(token.get("content", ""))
    return token if isinstance(token, str) else ""


def _to_json(value: object, indent: int | None = None) -> str:
    # jinja2's own filter escapes for HTML, which would change the prompt.
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise(message: str) -> NoReturn:
    from jinja2 import TemplateError

    raise TemplateError(message)
