"""The Python API: what the commands do, for programs and notebooks; the commands walk the same path."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from toolkit.artifact import Artifact, check_target
from toolkit.chat.request import GenerateRequest
from toolkit.devices.discovery import open_device
from toolkit.devices.parallel import Outcome, on_each_device
from toolkit.devices.selection import chosen_serial, chosen_serials
from toolkit.errors import RequirementFailed
from toolkit.evaluate.request import NeedleRequest, TaskRequest, TextRequest
from toolkit.export.request import ConvertRequest
from toolkit.profiling.request import ProfileRequest, check_context
from toolkit.progress import ShowProgress, bar
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.chat.answer import Generated
    from toolkit.evaluate.needle.figures import NeedleFigures
    from toolkit.evaluate.tasks.figures import TaskFigures
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
    from toolkit.chat.generate import prompt_ids
    from toolkit.chat.loaded_model import load_model

    settings = settings or Settings.from_environment()
    loaded = _loaded(artifact)
    asked = GenerateRequest.of(**{**({} if request is None else dict(request)), **options})
    # All are looked at before the model is loaded for them.
    texts = [prompt_ids(loaded, prompt, chat=chat, system=system) for prompt in prompts]
    opened = open_device(chosen_serial(device, settings), settings)
    with load_model(opened, loaded, settings, threads=asked.threads, runner=asked.runner) as model:
        for text in texts:
            yield model.answer(text, asked, on_text=on_text or _ignore)


def evaluate_text(
    target: Artifact | Path | str,
    text: Path | str | None = None,
    request: TextRequest | None = None,
    *,
    settings: Settings | None = None,
    **options: Any,
) -> TextFigures:
    """Perplexity over a text, and how far an artifact's predictions are from its source's; it is stored.

    Args:
        target: an artifact or its folder, or a model: hub id, folder, .gguf file or random:NAME.
        text: the file, in UTF-8.
        request: how; fields can be given as options instead, such as ``window=1024``.
        settings: caches; those of the environment by default.
        options: fields of :class:`TextRequest`; they win over the request's.

    Raises:
        ToolkitError: see `toolkit.evaluate.text`.
    """
    given = ({} if request is None else dict(request)) | ({} if text is None else {"text": Path(text)})
    asked = TextRequest.of(**{**given, **options})
    settings = settings or Settings.from_environment()
    from toolkit.export.quiet import hush_libraries

    hush_libraries()
    from toolkit.evaluate.stored.run import keep_text
    from toolkit.evaluate.subject import subject_of

    subject = subject_of(_named(target), settings)
    # Opened before the work: a store that cannot be used shows now, not after hours of it.
    with open_store(settings.store_url) as store, bar(f"evaluate {subject.name}", unit="windows") as progress:
        return keep_text(subject, asked, settings, store, progress=progress)


def evaluate_tasks(
    target: Artifact | Path | str,
    tasks: str | None = None,
    request: TaskRequest | None = None,
    *,
    settings: Settings | None = None,
    **options: Any,
) -> TaskFigures:
    """Scores of tasks of EleutherAI's harness, or of one's own; they are stored.

    Args:
        target: as in :func:`evaluate_text`.
        tasks: names with commas, or a preset.
        request: how; fields can be given as options instead, such as ``shots=5``.
        settings: caches; those of the environment by default.
        options: fields of :class:`TaskRequest`; they win over the request's.

    Raises:
        ToolkitError: see `toolkit.evaluate.tasks.run`.
    """
    given = ({} if request is None else dict(request)) | ({} if tasks is None else {"tasks": tasks})
    asked = TaskRequest.of(**{**given, **options})
    settings = settings or Settings.from_environment()
    from toolkit.export.quiet import hush_libraries

    hush_libraries()
    from toolkit.evaluate.stored.run import keep_tasks
    from toolkit.evaluate.subject import subject_of

    subject = subject_of(_named(target), settings)
    with (
        open_store(settings.store_url) as store,
        bar(f"evaluate {subject.name}", unit="questions") as progress,
    ):
        return keep_tasks(subject, asked, settings, store, progress=progress)


def evaluate_needle(
    target: Artifact | Path | str,
    request: NeedleRequest | None = None,
    *,
    settings: Settings | None = None,
    **options: Any,
) -> NeedleFigures:
    """How well a model finds facts in long texts, over length and depth; it is stored.

    Args:
        target: as in :func:`evaluate_text`.
        request: how; fields can be given as options instead, such as ``lengths="512,1024"``.
        settings: caches; those of the environment by default.
        options: fields of :class:`NeedleRequest`; they win over the request's.

    Raises:
        ToolkitError: see `toolkit.evaluate.needle.run`.
    """
    asked = NeedleRequest.of(**{**({} if request is None else dict(request)), **options})
    settings = settings or Settings.from_environment()
    from toolkit.export.quiet import hush_libraries

    hush_libraries()
    from toolkit.evaluate.stored.run import keep_needles
    from toolkit.evaluate.subject import subject_of

    subject = subject_of(_named(target), settings)
    with (
        open_store(settings.store_url) as store,
        bar(f"evaluate {subject.name}", unit="questions") as progress,
    ):
        return keep_needles(subject, asked, settings, store, progress=progress)


def check_requirements(
    artifact: Artifact,
    requirements: Sequence[str],
    *,
    source: str,
    texts: TextFigures | None = None,
    settings: Settings | None = None,
) -> list[str]:
    """Measure what limits ask for, and compare.

    Args:
        artifact: what must be within them.
        requirements: limits, such as "perplexity_ratio <= 1.05" or "arc_easy >= 0.95x source".
        source: the model that it was made from.
        texts: what :func:`evaluate_text` gave, for limits of figures over a text.
        settings: store and caches; those of the environment by default.

    Returns:
        A sentence for each.

    Raises:
        RequirementFailed: some are not met; names each with its figure.
        UsageError: a limit that cannot be read, or of a figure over a text without one.
        ToolkitError: a task cannot be scored.
    """
    from toolkit.evaluate.requirements import check_readable

    said: list[str] = []
    failed: list[str] = []
    for limit in check_readable(requirements, with_text=texts is not None):
        theirs: float | None = None
        if limit.over_text:
            assert texts is not None
            own = float(getattr(texts, limit.name).value)
            if limit.of_source and texts.source_perplexity is not None:
                theirs = texts.source_perplexity.value
        else:
            own = _task_score(artifact, limit.name, settings)
            theirs = _task_score(source, limit.name, settings) if limit.of_source else None
        sentence = f"{limit}: {own:.4f}" + (f", the source's is {theirs:.4f}" if theirs is not None else "")
        (said if limit.met_by(own, theirs) else failed).append(sentence)
    if failed:
        raise RequirementFailed(
            f"does not reach what was asked of it ({'; '.join(failed)})",
            subject=artifact.name,
            next_step=f"Use more bits or another algorithm. The artifact is in {artifact.path}.",
        )
    return said


def _task_score(target: Artifact | str, task: str, settings: Settings | None) -> float:
    """The main score of one task."""
    figures = evaluate_tasks(target, task, settings=settings)
    # A path of a YAML file names one task, a group is a score of its own.
    main = figures.main_scores()
    return next((one.value for one in main if one.task == task), main[0].value)


def fetch_tasks(request: TaskRequest) -> tuple[list[str], Path]:
    """Bring the data of tasks onto this machine; gives the tasks and the folder that holds their data.

    Raises:
        ToolkitError: a task that is unknown or not to be had.
    """
    from toolkit.evaluate.tasks.run import fetch

    return fetch(request)


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


def _named(target: Artifact | Path | str) -> str:
    return str(target.path if isinstance(target, Artifact) else target)


def _quietly(serials: Sequence[str], work: Callable[[str, ShowProgress], T]) -> list[Outcome[T]]:
    return on_each_device(serials, lambda serial: work(serial, bar), on_done=_ignore)


def _ignore(anything: object) -> None:
    pass
