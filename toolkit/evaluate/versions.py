"""Versions of what a score came from, beside the model's own files."""

from __future__ import annotations

from importlib.metadata import version

from toolkit.engines import ENGINES
from toolkit.evaluate.subject import Subject

# What loads and runs a model in transformers.
_TRANSFORMERS = ("transformers", "torch")


def versions_here(*subjects: Subject) -> dict[str, str]:
    """Of what runs these models in this process, and of what makes tokens of a text."""
    names = {"tokenizers"}
    for one in subjects:
        if one.artifact is None:
            names.update(_TRANSFORMERS)
        else:
            names.add(ENGINES.get(one.artifact.manifest.backend.name).package)
    return _installed(names)


def versions_asked(subject: Subject, *packages: str) -> dict[str, str]:
    """Of what answers questions to a model: an artifact's runner has the engine that its manifest names.

    Args:
        subject: the model.
        packages: what makes the questions.
    """
    if subject.artifact is None:
        return _installed({*packages, *_TRANSFORMERS})
    backend = subject.artifact.manifest.backend
    return _installed(set(packages)) | {backend.name: backend.version}


def _installed(names: set[str]) -> dict[str, str]:
    return {name: version(name) for name in sorted(names)}
