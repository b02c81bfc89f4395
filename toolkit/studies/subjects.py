"""Which models a study takes: words of the command line, limits, and what had to be left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from toolkit.errors import UnknownModel, UsageError
from toolkit.export.context import DEFAULT_CONTEXT
from toolkit.export.request import ConvertRequest
from toolkit.files import expanded
from toolkit.models.catalogue.catalogue import Catalogue
from toolkit.models.catalogue.entry import Entry
from toolkit.models.catalogue.selection import parameter_count
from toolkit.recipes.step_estimates import ModelSize, conversion_estimate, peak_bytes
from toolkit.registry import did_you_mean
from toolkit.sources.demo_wheel import DEMO
from toolkit.studies.request import StudyRequest
from toolkit.studies.study import LeftOut, Study, Subject

_RANDOM = "random:"
EVERYTHING = "all"
SURVEY = "survey"


def chosen_subjects(
    study: Study, request: StudyRequest, known: Catalogue
) -> tuple[list[Subject], list[LeftOut]]:
    """The models of a filled request, smallest first, and those that are left out.

    Args:
        study: says what `survey` means.
        request: with the study's defaults, and the memory that the devices have.
        known: the catalogue.

    Raises:
        UnknownModel: a word that is neither in the catalogue nor looks like a place.
        UsageError: nothing is left.
    """
    subjects: dict[str, Subject] = {}
    left: list[LeftOut] = []
    for word in request.models:
        for one in study.models.split(",") if word == SURVEY else [word]:
            for subject in _meant(one, known, study):
                subjects.setdefault(subject.reference, subject)
    most = None if request.limit_params is None else parameter_count(request.limit_params)
    limit = request.memory_gb * 1e9 if request.memory_gb is not None else None
    kept = []
    for subject in subjects.values():
        why = _reason(subject, request, most, limit)
        if why is None:
            kept.append(subject)
        else:
            left.append(LeftOut(subject.name, why))
    if not kept:
        reasons = "; ".join(f"{one.model}: {one.why}" for one in left[:3])
        raise UsageError(
            f"no model is left to measure ({reasons})",
            subject=f"study {study.name}",
            next_step="Choose others with --models, or raise --limit-params or --memory-gb.",
        )
    return sorted(kept, key=lambda one: (_parameters(one) or 0, one.reference)), left


def _meant(word: str, known: Catalogue, study: Study) -> Iterable[Subject]:
    """What a word stands for."""

    def of_entry(entry: Entry) -> Subject:
        real = study.weights == "real" and not entry.made_up
        return Subject(entry.hub_id or entry.name if real else f"random:{entry.name}", entry)

    real = [entry for entry in known.values() if not entry.made_up]
    if word == EVERYTHING:
        return map(of_entry, real)
    grouped = [entry for entry in real if word in entry.groups]
    if grouped:
        return map(of_entry, grouped)
    name = word.removeprefix(_RANDOM)
    if name in known:
        return [of_entry(known[name])]
    if word == DEMO.model_name:
        return [Subject(DEMO.hub_id)]
    made_up = word.startswith(_RANDOM)
    if (made_up or _is_path(word)) and not expanded(name).exists():
        if made_up:
            near = did_you_mean(word, [f"{_RANDOM}{one}" for one in known])
            raise UnknownModel(
                f"Unknown model {word!r}.", next_step=f"{near}`slm models list` shows every name."
            )
        raise UnknownModel(f"There is no {word!r}.", next_step="Paths start here; hub ids are owner/name.")
    if _is_place(word):
        return [Subject(_absolute(word))]
    groups = sorted({group for entry in real for group in entry.groups})
    words = [SURVEY, EVERYTHING, *groups, *known]
    raise UnknownModel(
        f"Unknown model {word!r}.",
        next_step=f"{did_you_mean(word, words)}`slm models list` shows every name; groups: "
        f"{', '.join((SURVEY, EVERYTHING, *groups))}. Hub ids are owner/name, folders ./name.",
    )


def _is_path(word: str) -> bool:
    """Whether it can be nothing else."""
    return word.startswith((".", "/", "~")) or word.endswith(".gguf")


def _is_place(word: str) -> bool:
    return "/" in word or word.endswith(".gguf") or word.startswith(_RANDOM) or Path(word).is_dir()


def _absolute(word: str) -> str:
    """A file or folder by its whole path: the recipe lies elsewhere. Other words are hub ids."""
    prefix = "random:" if word.startswith("random:") else ""
    path = expanded(word.removeprefix(prefix))
    return f"{prefix}{path.absolute()}" if path.exists() else word


def _parameters(subject: Subject) -> int | None:
    return subject.entry.parameters.unique if subject.entry and subject.entry.parameters else None


def _reason(
    subject: Subject, request: StudyRequest, most: int | None, limit_bytes: float | None
) -> str | None:
    """Why a model cannot be measured; None when it can, or when nobody knows."""
    entry, parameters = subject.entry, _parameters(subject)
    if entry is None:
        return None
    if not subject.reference.startswith(_RANDOM):
        if entry.hub_id is None:
            return "nobody knows where its weights are: give a folder or a hub id"
    elif entry.config is None:
        return f"there is no config to build it from: {entry.config_note}"
    if most is not None and parameters is not None and parameters > most:
        return f"{parameters / 1e6:.0f} M parameters are more than {request.limit_params}"
    needed = needed_bytes(entry, request.quant)
    if limit_bytes is not None and needed is not None and needed > limit_bytes:
        return f"needs about {needed / 1e9:.1f} GB, the limit is {_gigabytes(limit_bytes)} GB"
    return None


def _gigabytes(size: float) -> str:
    """With a digit behind the point, and more where that would be nothing."""
    return f"{size / 1e9:.1f}" if size >= 5e7 else f"{size / 1e9:.1g}"


def needed_bytes(entry: Entry, quants: Sequence[str], context: int = DEFAULT_CONTEXT) -> float | None:
    """The most memory that converting and running an entry is estimated to take; None where nobody knows.

    Args:
        entry: of the catalogue.
        quants: schemes or presets.
        context: tokens in the cache; the model's maximum where that is less.
    """
    size = ModelSize.of_entry(entry)
    if size is None:
        return None
    text = min(size.shape.longest or context, context)
    requests = [ConvertRequest.of(model=entry.name, quant=quant) for quant in quants]
    return max(
        max(peak_bytes(size, request, text), conversion_estimate(size, request).ram_bytes)
        for request in requests
    )
