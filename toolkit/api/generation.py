"""Text from a model on a device; nothing of it is stored."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.api.loading import loaded
from toolkit.artifact import Artifact
from toolkit.chat.request import GenerateRequest
from toolkit.devices.discovery import open_device
from toolkit.devices.selection import chosen_serial
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.chat.answer import Generated


def generate(
    artifact: Artifact | Path | str,
    prompt: str | Sequence[Mapping[str, Any]],
    request: GenerateRequest | None = None,
    *,
    device: str | None = None,
    chat: bool | None = None,
    system: str | None = None,
    on_text: Callable[[str], None] | None = None,
    settings: Settings | None = None,
    **options: Any,
) -> Generated:
    """Generate text on a device. Nothing is stored.

    Args:
        artifact: the folder, or what :func:`convert` returned.
        prompt: what to say to the model: a text, or a conversation's messages, each with role and content.
        request: how; fields can be given as options instead, such as ``max_tokens=64``.
        device: as in :func:`profile`, one of them.
        chat: apply the chat template; None does so when there is one.
        system: system message, with a chat template.
        on_text: told the text piece by piece as it comes.
        settings: caches; those of the environment by default.
        options: fields of :class:`GenerateRequest`; they win over the request's.

    Raises:
        ToolkitError: see `toolkit.chat.generate`.
    """
    from toolkit.chat.generate import generate as generate_on
    from toolkit.chat.generate import prompt_ids

    settings = settings or Settings.from_environment()
    found = loaded(artifact)
    kind = GenerateRequest if request is None else type(request)
    asked = kind.of(**{**({} if request is None else dict(request)), **options})
    ids = prompt_ids(found, prompt, chat=chat, system=system)
    serial = chosen_serial(device, settings)
    return generate_on(open_device(serial, settings), found, ids, asked, settings, on_text=on_text or _ignore)


def generate_each(
    artifact: Artifact | Path | str,
    prompts: Iterable[str | Sequence[Mapping[str, Any]]],
    request: GenerateRequest | None = None,
    *,
    device: str | None = None,
    chat: bool | None = None,
    system: str | None = None,
    on_text: Callable[[str], None] | None = None,
    settings: Settings | None = None,
    **options: Any,
) -> Generator[Generated]:
    """Answer one prompt after the other with a model that is loaded once; each as soon as it is there.

    Args:
        artifact: the folder, or what :func:`convert` returned.
        prompts: each as in :func:`generate`, and so is all the rest.
        request: as in :func:`generate`.
        device: as in :func:`generate`.
        chat: as in :func:`generate`.
        system: as in :func:`generate`.
        on_text: as in :func:`generate`.
        settings: as in :func:`generate`.
        options: as in :func:`generate`.

    Raises:
        ToolkitError: see `toolkit.chat.loaded_model`.
    """
    from toolkit.chat.generate import prompt_ids, room_for
    from toolkit.chat.loaded_model import load_model

    settings = settings or Settings.from_environment()
    found = loaded(artifact)
    kind = GenerateRequest if request is None else type(request)
    asked = kind.of(**{**({} if request is None else dict(request)), **options})
    # All are looked at before the model is loaded for them.
    texts = [prompt_ids(found, prompt, chat=chat, system=system) for prompt in prompts]
    for text in texts:
        room_for(found, text, found.manifest.context_length)
    opened = open_device(chosen_serial(device, settings), settings)
    with load_model(opened, found, settings, threads=asked.threads, runner=asked.runner) as model:
        for text in texts:
            yield model.answer(text, asked, on_text=on_text or _ignore)


def _ignore(text: str) -> None:
    pass
