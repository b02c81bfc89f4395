"""Short names for models and artifacts, as long as it takes to tell those that are shown together apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from toolkit.store.rows import Artifact

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

_RANDOM = "random:"
# Of a path, a last part that says nothing: every model has one.
_NAMELESS = ("config.json", "model.gguf", "")
_HASH_LENGTH = 6


def model_names(models: Iterable[str]) -> dict[str, str]:
    """A name for each model: the end of its id or path, as long as it takes to tell it from the others."""
    wanted = dict.fromkeys(models)
    tails = {model: _tails(model) for model in wanted}
    length = dict.fromkeys(wanted, 0)
    while True:
        names = {model: tails[model][length[model]] for model in wanted}
        count = Counter(names.values())
        longer = [
            model for model in wanted if count[names[model]] > 1 and length[model] + 1 < len(tails[model])
        ]
        if not longer:
            return names
        for model in longer:
            length[model] += 1


def _tails(model: str) -> list[str]:
    """Ever longer ends of a name, the whole one last."""
    before = _RANDOM if model.startswith(_RANDOM) else ""
    parts = model.removeprefix(_RANDOM).split("/")
    shortest = 2 if parts[-1] in _NAMELESS else 1
    tails = [before + "/".join(parts[-count:]) for count in range(shortest, len(parts) + 1)]
    return [*tails, model] if not tails or tails[-1] != model else tails


def quantization_names(artifacts: Iterable[Artifact]) -> dict[str, str]:
    """A name for each artifact's quantization, by its sha256, that tells it from others of model and engine.

    The algorithm is named where it is all that differs within a preset, the artifact's hash where nothing
    that is said does.
    """
    alike: dict[tuple[str, str, str], dict[str, Artifact]] = defaultdict(dict)
    for artifact in artifacts:
        alike[artifact.model, artifact.backend, artifact.backend_version][artifact.sha256] = artifact
    names: dict[str, str] = {}
    for group in alike.values():
        names |= refined(
            group,
            lambda one: one.quantization,
            (
                lambda one: "" if one.algorithm in one.quantization.split() else one.algorithm,
                lambda one: f"context {one.context_length}",
                lambda one: f"artifact {one.sha256[:_HASH_LENGTH]}",
                lambda one: one.sha256,
            ),
        )
    return names


def refined(
    named: Mapping[K, T], name: Callable[[T], str], details: Sequence[Callable[[T], str]]
) -> dict[K, str]:
    """Names by key; where several are equal, one detail after the other is added to these until none are."""
    names = {key: name(one) for key, one in named.items()}
    for detail in details:
        count = Counter(names.values())
        equal = [key for key in names if count[names[key]] > 1]
        if not equal:
            break
        told = {key: detail(named[key]) for key in equal}
        for shared in {names[key] for key in equal}:
            group = [key for key in equal if names[key] == shared]
            # What all of them share tells nothing.
            if len({told[key] for key in group}) > 1:
                for key in group:
                    names[key] = f"{shared} {told[key]}".strip()
    return names
