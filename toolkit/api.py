"""The Python API: what the commands do, for programs and notebooks; the commands walk the same path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from toolkit.artifact import Artifact, check_target
from toolkit.chat.request import GenerateRequest
from toolkit.devices.discovery import open_device
from toolkit.devices.parallel import Outcome, on_each_device
from toolkit.devices.selection import chosen_serial, chosen_serials
from toolkit.evaluate.request import TextRequest
from toolkit.export.request import ConvertRequest
from toolkit.profiling.request import ProfileRequest, check_context
from toolkit.progress import ShowProgress, bar
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.chat.generate import Generated
    from toolkit.evaluate.text import TextFigures
    from toolkit.store import Store
    from toolkit.store.rows import StoredRun

T = TypeVar("T")
# Does work on each device and shows how it goes.
RunOnDevices = Callable[[Sequence[str], Callable[[str, ShowProgress], T]], list[Outcome[T]]]


def convert(
    model: str | ConvertRequest,
    output: Path | str,
    *,
    force: bool = False,
    settings: Settings | None = None,
    **options: Any,
) -> Artifact:
    """Convert a model to an artifact folder.

    Args:
        model: hub id, folder, .gguf file or random:NAME; or a whole request.
        output: the folder to write.
        force: replace an artifact that is there.
        settings: caches; those of the environment by default.
        options: fields of :class:`ConvertRequest`, such as ``quant="8da4w"``.

    Raises:
        ToolkitError: anything a user can cause; see toolkit.errors.
    """
    given = {"model": model} if isinstance(model, str) else dict(model)
    kind = ConvertRequest if isinstance(model, str) else type(model)
    request = kind.of(**{**given, **options})
    settings = settings or Settings.from_environment()
    check_target(Path(output), overwrite=force)
    # Loads torch, as everything that follows does.
    from toolkit.export.quantization import check_request
    from toolkit.export.quiet import hush_libraries

    check_request(request)
    hush_libraries()
    from toolkit.export.convert import convert as convert_source
    from toolkit.sources import resolve

    source = resolve(
        request.model,
        settings,
        revision=request.revision,
        offline=request.offline,
        trust_remote_code=request.trust_remote_code,
    )
    return convert_source(source, request, Path(output), settings, overwrite=force)


def profile(
    artifact: Artifact | Path | str,
    request: ProfileRequest | None = None,
    *,
    device: str | Sequence[str] = (),
    timeout_s: float | None = None,
    settings: Settings | None = None,
    **options: Any,
) -> list[StoredRun]:
    """Run an artifact on devices and store what was measured.

    Args:
        artifact: the folder, or what :func:`convert` returned.
        request: the work; fields can be given as options instead, such as ``threads=4``.
        device: a serial, ssh:USER@HOST, local, or all for every attached phone; or several of these.
            The attached phone when there is just one, this machine when there is none.
        timeout_s: seconds the runner may take; scaled by the work by default.
        settings: store and caches; those of the environment by default.
        options: fields of :class:`ProfileRequest`; they win over the request's.

    Returns:
        One run per device.

    Raises:
        ToolkitError: the first device's error, once all devices are done; the runs of the others are stored.
    """
    given = {} if request is None else dict(request)
    outcomes = profile_on_each(
        _loaded(artifact),
        ProfileRequest.of(**{**given, **options}),
        [device] if isinstance(device, str) else device,
        settings or Settings.from_environment(),
        timeout_s=timeout_s,
    )
    runs = []
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
        assert outcome.result is not None, "an outcome is a result or an error"
        runs.append(outcome.result)
    return runs


def profile_on_each(
    artifact: Artifact,
    request: ProfileRequest,
    devices: Sequence[str],
    settings: Settings,
    *,
    timeout_s: float | None = None,
    run_on_devices: RunOnDevices[StoredRun] | None = None,
) -> list[Outcome[StoredRun]]:
    """As :func:`profile`; what came of each device, errors included.

    Raises:
        ToolkitError: what is wrong before any device is asked to work.
    """
    from toolkit.profiling.session.session import Session
    from toolkit.profiling.session.session import profile as profile_on
    from toolkit.store import open_store as open_url

    check_context(artifact, request)
    serials = chosen_serials(devices, settings)
    # Opened before the run: a store that cannot be used shows now, not after minutes of measuring.
    with open_url(settings.store_url) as store:
        session = Session(settings, store, timeout_s=timeout_s)

        def profile_one(serial: str, show_progress: ShowProgress) -> StoredRun:
            own = replace(session, show_progress=show_progress)
            return profile_on(open_device(serial, settings), artifact, request, own)

        return (run_on_devices or _quietly)(serials, profile_one)


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
    loaded = _loaded(artifact)
    asked = GenerateRequest.of(**{**({} if request is None else dict(request)), **options})
    ids = prompt_ids(loaded, prompt, chat=chat, system=system)
    serial = chosen_serial(device, settings)
    return generate_on(
        open_device(serial, settings), loaded, ids, asked, settings, on_text=on_text or _ignore
    )


def evaluate_text(
    target: str | Path | TextRequest,
    text: Path | str | None = None,
    *,
    settings: Settings | None = None,
    **options: Any,
) -> TextFigures:
    """Perplexity over a text, and how far an artifact's predictions are from its source's.

    Args:
        target: an artifact's folder or a model; or a whole request.
        text: the file, in UTF-8.
        settings: caches; those of the environment by default.
        options: fields of :class:`TextRequest`, such as ``window=1024``.

    Raises:
        ToolkitError: see `toolkit.evaluate.text`.
    """
    given: dict[str, Any] = dict(target) if isinstance(target, TextRequest) else {"target": str(target)}
    if text is not None:
        given["text"] = Path(text)
    request = TextRequest.of(**{**given, **options})
    settings = settings or Settings.from_environment()
    from toolkit.export.quiet import hush_libraries

    hush_libraries()
    from toolkit.evaluate.subject import source_of, subject_of, subject_of_source
    from toolkit.evaluate.text import evaluate_text as evaluate

    subject = subject_of(request.target, settings)
    source = None
    if subject.artifact is not None and request.compare:
        source = subject_of_source(source_of(subject.artifact, request.source, settings))
    with bar(f"evaluate {subject.name}", unit="windows") as progress:
        return evaluate(subject, source, request, progress=progress)


def open_store(url: str | None = None) -> Store:
    """Open the results store.

    Args:
        url: an SQLAlchemy URL; that of the environment by default.

    Raises:
        StoreError: it cannot be opened.
    """
    from toolkit.store import open_store as open_url

    return open_url(url or Settings.from_environment().store_url)


def _loaded(artifact: Artifact | Path | str) -> Artifact:
    return artifact if isinstance(artifact, Artifact) else Artifact.load(Path(artifact))


def _quietly(serials: Sequence[str], work: Callable[[str, ShowProgress], T]) -> list[Outcome[T]]:
    return on_each_device(serials, lambda serial: work(serial, bar), on_done=_ignore)


def _ignore(anything: object) -> None:
    pass
