"""The recipe of a study: models with the contexts that they have room for, and the protocol's runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.studies.protocols import PROTOCOLS
from toolkit.studies.request import StudyRequest
from toolkit.studies.study import Subject

# What an artifact is made for where nothing else is said; see `slm convert --context`.
_DEFAULT_CONTEXT = 4096

# Speed beside what models know, over the survey's tokens: they fit into every context.
_TIMED = {"prompt_tokens": 50, "generate_tokens": 50}
# Batteries' counters change a few times a second at most: shorter runs would end between two changes.
ENERGY = {"energy": True, "generate_tokens": 128, "prompt_tokens": 128}


# Memory of a context is what its keys and values take once they are there.
WHOLE_CONTEXT = {"reserve": "context"}


def profiled(
    request: StudyRequest,
    subjects: Sequence[Subject],
    *,
    contexts: Mapping[str, Sequence[int]] | None = None,
    convert: Mapping[str, Any] | None = None,
    profile: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Sections `convert` and `profile`: every model, scheme and engine on every device.

    Args:
        request: with the study's defaults.
        subjects: the models.
        contexts: of each model by its reference, in place of the protocol's.
        convert: fields of that section in place of the study's.
        profile: likewise.
    """
    protocol = PROTOCOLS[request.protocol or "survey"]
    work = {**protocol.profile, **(profile or {})}
    room = _tokens(work)
    by_context: dict[tuple[int | None, ...], list[str]] = defaultdict(list)
    for subject in subjects:
        wanted = (contexts or {}).get(subject.reference)
        by_context[tuple(wanted) if wanted else (_context(subject, protocol.context, room),)].append(
            subject.reference
        )
    axes = {"quant": list(request.quant), "backend": list(request.backend)}
    (first, models), *others = by_context.items()
    section: dict[str, Any] = {"model": models, **axes, "context": list(first), **(convert or {})}
    if others:
        section["include"] = [{"model": some, **axes, "context": list(size)} for size, some in others]
    runs: dict[str, Any] = {"device": list(request.device), **work}
    if request.threads:
        runs["threads"] = request.threads
    for name in ("repetitions", "rounds"):
        if (value := getattr(request, name)) is not None:
            runs[name] = value
    return {"convert": section, "profile": runs}


def profiled_with_whole_context(request: StudyRequest, subjects: Sequence[Subject]) -> dict[str, Any]:
    """As :func:`profiled`, with the cache of the artifact's whole context in memory."""
    return profiled(request, subjects, profile=WHOLE_CONTEXT)


def evaluated(
    request: StudyRequest,
    subjects: Sequence[Subject],
    questions: Mapping[str, Any],
    *,
    contexts: Mapping[str, Sequence[int]] | None = None,
    timed: bool = False,
) -> dict[str, Any]:
    """Sections `convert` and `evaluate`, and `profile` where speed is wanted beside what models know.

    Args:
        request: with the study's defaults.
        subjects: the models.
        questions: fields of the section `evaluate`; those that the request gives win.
        contexts: of each model by its reference.
        timed: whether artifacts are profiled, too.
    """
    sections = profiled(request, subjects, contexts=contexts, profile=ENERGY if request.energy else _TIMED)
    given = {"tasks": request.tasks, "limit": request.items, "lengths": request.lengths}
    given |= {"depths": request.depths, "trials": request.trials}
    if request.include_path is not None:
        # The recipe lies elsewhere.
        given["include_path"] = str(request.include_path.absolute())
    asked = {**questions, **{name: value for name, value in given.items() if value is not None}}
    sections["evaluate"] = {**asked, "device": list(request.device), "threads": request.threads}
    return sections if timed else {name: one for name, one in sections.items() if name != "profile"}


def _tokens(work: Mapping[str, Any]) -> int:
    """The most tokens that a run of these has."""

    def largest(name: str, default: int) -> int:
        value = work.get(name, default)
        return max(value) if isinstance(value, list) else int(value)

    return largest("prompt_tokens", 512) + largest("generate_tokens", 128) + largest("depth", 0)


def _context(subject: Subject, wanted: int | None, room: int) -> int | None:
    """The protocol's context, or the model's where that is shorter; None for the default."""
    limit = subject.entry.architecture.context if subject.entry else None
    if wanted is not None:
        return min(wanted, limit) if limit else wanted
    return min(max(room, _DEFAULT_CONTEXT), limit) if limit else None
