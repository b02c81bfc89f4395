"""A conversation with a loaded model: what was said so far, and what may be done with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from toolkit.artifact import Artifact
from toolkit.chat.answer import Generated
from toolkit.chat.generate import prompt_ids
from toolkit.chat.loaded_model import LoadedModel
from toolkit.chat.request import GenerateRequest
from toolkit.chat_template.environment import Message
from toolkit.chat_template.template import render_chat
from toolkit.errors import ContextFull
from toolkit.files import whole_file


class Dialogue:
    """Messages of a user and a model.

    Args:
        artifact: the model.
        messages: what was said before.
        system: a message in front of them.

    Raises:
        UsageError: the model's chat template cannot render this.
    """

    def __init__(
        self, artifact: Artifact, messages: Sequence[Message] = (), *, system: str | None = None
    ) -> None:
        self._artifact = artifact
        self._messages = list(messages)
        if system is not None:
            self.set_system(system)
        render_chat(artifact, [*self._messages, {"role": "user", "content": "?"}])

    def ask(
        self, model: LoadedModel, text: str, options: GenerateRequest, *, on_text: Callable[[str], None]
    ) -> Generated:
        """Say something and get the answer, which stays in the conversation.

        Raises:
            ContextFull: nothing more fits; what was said stays out of the conversation, as with any error.
            KeyboardInterrupt: the answer was stopped; what there is of it stays.
            ToolkitError: see :meth:`LoadedModel.answer`.
        """
        asked: list[Message] = [*self._messages, {"role": "user", "content": text}]
        pieces: list[str] = []

        def say(piece: str) -> None:
            pieces.append(piece)
            on_text(piece)

        try:
            ids = prompt_ids(self._artifact, asked, tokenizer=model.tokenizer)
            generated = model.answer(ids, options, on_text=say)
        except ContextFull as error:
            raise ContextFull(
                error.what.replace("the prompt", "the conversation"),
                subject=error.subject,
                next_step="/reset begins a new conversation, /save FILE keeps this one.",
            ) from None
        except KeyboardInterrupt:
            self._messages = [*asked, {"role": "assistant", "content": "".join(pieces)}]
            raise
        self._messages = [*asked, {"role": "assistant", "content": generated.text}]
        return generated

    def set_system(self, text: str) -> None:
        """Put a system message in front, in place of the one there; none for an empty text.

        Raises:
            UsageError: the template knows none.
        """
        rest = [one for one in self._messages if one["role"] != "system"]
        messages = [{"role": "system", "content": text}, *rest] if text else rest
        render_chat(self._artifact, [*messages, {"role": "user", "content": "?"}])
        self._messages = messages

    def reset(self) -> None:
        """Forget all but the system message."""
        self._messages = [one for one in self._messages if one["role"] == "system"]

    def save(self, file: Path) -> None:
        """Write the conversation, as `--messages` reads it; the file is there whole or not at all."""
        with whole_file(file) as part:
            part.write_text(json.dumps(self._messages, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def __len__(self) -> int:
        """How many messages there are."""
        return len(self._messages)
